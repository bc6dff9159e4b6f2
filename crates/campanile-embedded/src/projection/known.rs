//! What is known of a partition without asking the table: users' endpoints, which everybody who
//! reads an event asks for.
//!
//! It is exact. A step ends what was known before it begins, and what was read while one was
//! written is not taken.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use campanile_core::port::{Piece, PieceKey, ProjectionError, Views, Write};
use campanile_core::{Offset, Reach, UserRef};
use rustc_hash::FxHashMap;

/// What a partition's endpoints may take in memory, about, in bytes: enough for a thousand users
/// without any, in each of 64 partitions for 4 MB.
const REACHES: usize = 64 << 10;
/// A user's place in the map.
const USER: usize = 48;
/// An endpoint.
const ENDPOINT: usize = 256;

/// What is known of a partition.
#[derive(Default)]
pub(super) struct Known(Mutex<State>);

#[derive(Default)]
struct State {
    /// Counts the changes.
    version: u64,
    /// The next event to fold; absent while a step is written, and until it was read.
    checkpoint: Option<Offset>,
    is_writing: bool,
    /// Users asked for lately, and before; nobody's endpoints are known too.
    young: Reaches,
    old: Reaches,
    /// Bytes of the young, about.
    cost: usize,
}

type Reaches = FxHashMap<UserRef, Option<Arc<Reach>>>;

/// What was known of some keys at a time.
struct Noted {
    version: u64,
    pieces: Vec<Option<Option<Piece>>>,
}

impl Known {
    /// Answers for `keys` if all of it is known and nobody else is at it.
    pub(super) fn view(&self, keys: &[PieceKey]) -> Option<Views> {
        let mut state = self.0.try_lock().ok()?;
        let checkpoint = state.checkpoint?;
        let pieces = keys.iter().map(|key| state.get(key)).collect::<Option<_>>()?;
        Some(Views { checkpoint, pieces })
    }

    /// Answers for `keys`. `read` reads some from the table, at one instant.
    pub(super) fn read(
        &self,
        keys: &[PieceKey],
        read: impl Fn(&[PieceKey]) -> Result<Views, ProjectionError>,
    ) -> Result<Views, ProjectionError> {
        let Noted { version, mut pieces } = self.lock().note(keys);
        let asked = keys.iter().zip(&pieces).filter(|(_, known)| known.is_none());
        let asked: Vec<PieceKey> = asked.map(|(key, _)| *key).collect();
        let found = read(&asked)?;
        if !self.lock().learn(version, &asked, &found) {
            return if asked.len() == keys.len() { Ok(found) } else { read(keys) };
        }
        let mut rest = found.pieces.into_iter();
        pieces.iter_mut().filter(|piece| piece.is_none()).for_each(|piece| *piece = rest.next());
        let pieces = pieces.into_iter().map(Option::flatten).collect();
        Ok(Views { checkpoint: found.checkpoint, pieces })
    }

    /// A step of events begins.
    pub(super) fn begin(&self) {
        let mut state = self.lock();
        state.version += 1;
        (state.checkpoint, state.is_writing) = (None, true);
    }

    /// The step is stored.
    pub(super) fn end(&self, step: &Write) {
        let mut state = self.lock();
        state.version += 1;
        (state.checkpoint, state.is_writing) = (Some(step.to), false);
        for write in &step.pieces {
            if let (PieceKey::Reach(user), Piece::Reach(reach)) = (write.key, &write.piece) {
                state.put(user, Some(reach.clone()));
            }
        }
    }

    /// The table is another one, or nobody knows what is in it.
    pub(super) fn forget(&self) {
        let mut state = self.lock();
        *state = State { version: state.version + 1, ..State::default() };
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn get(&mut self, key: &PieceKey) -> Option<Option<Piece>> {
        let PieceKey::Reach(user) = key else { return None };
        let reach = match self.young.get(user) {
            Some(reach) => reach.clone(),
            None => {
                let reach = self.old.remove(user)?;
                self.put(*user, reach.clone());
                reach
            }
        };
        Some(reach.map(Piece::Reach))
    }

    fn put(&mut self, user: UserRef, reach: Option<Arc<Reach>>) {
        self.old.remove(&user);
        let endpoints =
            |reach: &Reach| (1 + reach.endpoints.len() + reach.tombstones.len()) * ENDPOINT;
        self.cost += USER + reach.as_deref().map_or(0, endpoints);
        self.young.insert(user, reach);
        if self.cost > REACHES / 2 {
            self.old = mem::take(&mut self.young);
            self.cost = 0;
        }
    }

    fn note(&mut self, keys: &[PieceKey]) -> Noted {
        let is_known = !self.is_writing;
        let pieces = keys.iter().map(|key| if is_known { self.get(key) } else { None }).collect();
        Noted { version: self.version, pieces }
    }

    /// Takes what was found for `asked`, unless something changed since `version`.
    fn learn(&mut self, version: u64, asked: &[PieceKey], found: &Views) -> bool {
        if self.is_writing || version != self.version {
            return false;
        }
        self.checkpoint = Some(found.checkpoint);
        for (key, piece) in asked.iter().zip(&found.pieces) {
            match (key, piece) {
                (PieceKey::Reach(user), None) => self.put(*user, None),
                (PieceKey::Reach(user), Some(Piece::Reach(reach))) => {
                    self.put(*user, Some(reach.clone()));
                }
                _ => {}
            }
        }
        true
    }
}

#[cfg(test)]
mod tests;
