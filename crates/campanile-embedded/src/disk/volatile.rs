//! A disk in memory that forgets what was not synced, and fails when told to.
//!
//! A power cut keeps any sectors of what was not synced and loses the others, and keeps some of the
//! last changes of a directory. A failed sync leaves its pages looking clean, as Linux does, so
//! that the next sync does not write them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use super::{Disk, DiskFile};

const SECTOR: usize = 512;

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Default)]
pub(crate) struct VolatileDisk {
    state: Arc<Mutex<State>>,
    released: Arc<Condvar>,
}

#[derive(Default)]
struct State {
    files: Vec<Content>,
    names: Names,
    /// The directory after each change that was not synced; the first is the synced one.
    changes: Vec<Names>,
    /// How many calls that change something came.
    calls: u64,
    fault: Option<Fault>,
    capacity: Option<usize>,
    is_held: bool,
}

type Names = BTreeMap<PathBuf, usize>;

#[derive(Clone, Default)]
struct Content {
    now: Vec<u8>,
    synced: Vec<u8>,
    dirty: BTreeSet<usize>,
}

/// A call that fails.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    /// Which, counted from the next.
    pub(crate) after: u64,
    pub(crate) kind: io::ErrorKind,
}

struct VolatileFile {
    disk: VolatileDisk,
    file: usize,
}

impl VolatileDisk {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Lets a later call fail, once.
    pub(crate) fn fail(&self, fault: Fault) {
        let mut state = self.lock();
        let after = state.calls + fault.after;
        state.fault = Some(Fault { after, ..fault });
    }

    /// Whether the fault happened.
    pub(crate) fn has_failed(&self) -> bool {
        self.lock().fault.is_none()
    }

    /// Takes a fault back that did not happen yet.
    pub(crate) fn clear_fault(&self) {
        self.lock().fault = None;
    }

    /// Limits how many bytes all files have together.
    pub(crate) fn limit(&self, capacity: Option<usize>) {
        self.lock().capacity = capacity;
    }

    /// How many bytes all files have together.
    pub(crate) fn used(&self) -> usize {
        self.lock().used()
    }

    /// Lets syncs wait until they are let go again.
    pub(crate) fn hold_syncs(&self, is_held: bool) {
        self.lock().is_held = is_held;
        self.released.notify_all();
    }

    /// What a reader finds after the power came back. `draw` decides what survived.
    pub(crate) fn after_power_cut(&self, mut draw: impl FnMut() -> u64) -> Self {
        let state = self.lock();
        let kept = draw() as usize % (state.changes.len() + 1);
        let names = state.changes.get(kept).unwrap_or(&state.names).clone();
        let survive = |file: &Content| {
            let shorter = file.synced.len().min(file.now.len());
            let longer = file.synced.len().max(file.now.len());
            let length = shorter + draw() as usize % (longer - shorter + 1);
            let mut bytes = file.synced.clone();
            bytes.resize(length, 0);
            for sector in &file.dirty {
                let from = (sector * SECTOR).min(length);
                let to = (from + SECTOR).min(length).min(file.now.len());
                if draw().is_multiple_of(2) && from < to {
                    bytes[from..to].copy_from_slice(&file.now[from..to]);
                }
            }
            Content { now: bytes.clone(), synced: bytes, dirty: BTreeSet::new() }
        };
        let files = state.files.iter().map(survive).collect();
        Self::of(State { files, names, ..State::default() })
    }

    /// The same disk, of which nothing is shared.
    pub(crate) fn copy(&self) -> Self {
        let state = self.lock();
        let (files, names) = (state.files.clone(), state.names.clone());
        Self::of(State { files, names, ..State::default() })
    }

    pub(crate) fn exists(&self, path: &Path) -> bool {
        self.lock().names.contains_key(path)
    }

    pub(crate) fn remove_name(&self, path: &Path) {
        self.lock().names.remove(path);
    }

    fn of(state: State) -> Self {
        Self { state: Arc::new(Mutex::new(state)), released: Arc::default() }
    }

    /// Changes the bytes of a file behind everybody's back, durably.
    pub(crate) fn tamper(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.lock();
        let file = state.names[path];
        let content = &mut state.files[file];
        change(&mut content.now);
        content.synced = content.now.clone();
    }

    pub(crate) fn bytes(&self, path: &Path) -> Vec<u8> {
        let state = self.lock();
        state.files[state.names[path]].now.clone()
    }
}

impl State {
    fn used(&self) -> usize {
        self.names.values().map(|file| self.files[*file].now.len()).sum()
    }

    /// Counts a call, and fails it if it is its turn.
    fn call(&mut self) -> io::Result<()> {
        self.calls += 1;
        match self.fault {
            Some(fault) if self.calls >= fault.after => {
                self.fault = None;
                Err(fault.kind.into())
            }
            _ => Ok(()),
        }
    }

    fn rename(&mut self, change: impl FnOnce(&mut Names)) {
        self.changes.push(self.names.clone());
        change(&mut self.names);
    }
}

impl Content {
    fn write(&mut self, bytes: &[u8], at: usize) {
        let end = at + bytes.len();
        self.now.resize(self.now.len().max(end), 0);
        self.now[at..end].copy_from_slice(bytes);
        self.dirty.extend(at / SECTOR..end.div_ceil(SECTOR));
    }

    fn sync(&mut self) {
        self.synced.resize(self.now.len(), 0);
        for sector in std::mem::take(&mut self.dirty) {
            let from = (sector * SECTOR).min(self.now.len());
            let to = (from + SECTOR).min(self.now.len());
            self.synced[from..to].copy_from_slice(&self.now[from..to]);
        }
    }
}

impl Disk for VolatileDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.lock();
        state.call()?;
        let file = state.files.len();
        state.files.push(Content::default());
        state.rename(|names| names.extend([(path.to_owned(), file)]));
        Ok(Arc::new(VolatileFile { disk: self.clone(), file }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.lock().names.get(path).copied().ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(VolatileFile { disk: self.clone(), file }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.lock();
        let inside = state.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside.map(|path| path.file_name().unwrap().to_string_lossy().into()).collect())
    }

    fn make_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.call()?;
        state.rename(|names| names.retain(|name, _| name != path));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.call()?;
        let file = state.names.get(from).copied().ok_or(io::ErrorKind::NotFound)?;
        state.rename(|names| {
            names.remove(from);
            names.insert(to.to_owned(), file);
        });
        Ok(())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.call()?;
        state.changes.clear();
        Ok(())
    }
}

impl DiskFile for VolatileFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.lock().files[self.file].now.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        let state = self.disk.lock();
        let at = usize::try_from(at).unwrap();
        let found = state.files[self.file].now.get(at..at + buffer.len());
        buffer.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let mut state = self.disk.lock();
        let at = usize::try_from(at).unwrap();
        let more = (at + bytes.len()).saturating_sub(state.files[self.file].now.len());
        let space = state.capacity.map_or(usize::MAX, |it| it.saturating_sub(state.used()));
        let failed = state.call().and_then(|()| match more > space {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        });
        // A write that fails wrote a part.
        let written = if failed.is_ok() { bytes.len() } else { bytes.len().min(space) / 2 };
        state.files[self.file].write(&bytes[..written], at);
        failed
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.lock();
        state.call()?;
        state.files[self.file].now.truncate(usize::try_from(len).unwrap());
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.lock();
        while state.is_held {
            state = self.disk.released.wait(state).unwrap();
        }
        let failed = state.call();
        let file = &mut state.files[self.file];
        match failed {
            Ok(()) => file.sync(),
            // Some of it may have been written.
            Err(_) => file.dirty.clear(),
        }
        failed
    }
}
