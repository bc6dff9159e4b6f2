//! Memory of the table that went to a file, given back where nobody waits for it.

use std::any::Any;
use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// How many wait to be looked at; the store has four at most.
const WAITING: usize = 8;

/// Memory of the table, as the store shares it.
type Memory = Arc<dyn Any + Send + Sync>;

/// Keeps the table's memory until the store has let go of it, and gives it back then.
///
/// It is a list of some ten thousand entries. The store would take it apart while it changes its
/// list of files, 30 to 60 ms long, and nobody reads or writes meanwhile.
pub(super) struct Sealed {
    /// What is written to.
    active: Mutex<Option<Memory>>,
    sealed: SyncSender<Memory>,
}

impl Sealed {
    /// Starts the thread that gives memory back. It ends when this is dropped.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub(super) fn start() -> io::Result<Self> {
        let (sealed, come) = sync_channel(WAITING);
        thread::Builder::new().name("projection-free".to_owned()).spawn(move || free(&come))?;
        Ok(Self { active: Mutex::default(), sealed })
    }

    /// From now on `active` is written to; what was is sealed.
    pub(super) fn see<T: Any + Send + Sync>(&self, active: Arc<T>) {
        let active: Memory = active;
        let mut known = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref().is_some_and(|known| Arc::ptr_eq(known, &active)) {
            return;
        }
        if let Some(sealed) = known.replace(active) {
            drop(known);
            // With so many waiting, it is given back by whoever is last.
            let _too_many = self.sealed.try_send(sealed);
        }
    }
}

/// Gives back what comes, once nobody else has it.
fn free(come: &Receiver<Memory>) {
    let mut held = VecDeque::new();
    while let Ok(next) = come.recv() {
        held.push_back(next);
        while held.front().is_some_and(|first| Arc::strong_count(first) == 1) {
            drop(held.pop_front());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]

    use std::sync::mpsc::{Sender, channel};

    use super::*;

    /// Tells its number, and on which thread it ends.
    struct Told(u32, Sender<(u32, Option<String>)>);

    impl Drop for Told {
        fn drop(&mut self) {
            let name = thread::current().name().map(str::to_owned);
            self.1.send((self.0, name)).unwrap();
        }
    }

    #[test]
    fn memory_is_given_back_elsewhere_after_the_store_let_go_of_it() {
        let (tell, told) = channel();
        let memory = |number| Arc::new(Told(number, tell.clone()));
        let sealed = Sealed::start().unwrap();
        let of_the_store: Vec<_> = (0..3).map(memory).collect();
        of_the_store.iter().for_each(|it| sealed.see(it.clone()));
        of_the_store.iter().skip(2).for_each(|it| sealed.see(it.clone()));
        assert!(told.try_recv().is_err(), "the store has them all");
        drop(of_the_store);
        sealed.see(memory(3));
        for number in 0..3 {
            assert_eq!(told.recv().unwrap(), (number, Some("projection-free".to_owned())));
        }
        assert!(told.try_recv().is_err(), "it is written to");
    }
}
