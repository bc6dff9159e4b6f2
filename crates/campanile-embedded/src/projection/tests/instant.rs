//! A reader sees a write whole or not at all, also while the store changes its list of files.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::super::database::Table;
use super::super::keys;
use super::*;

const P0: Partition = Partition(0);
/// Keys of a write: enough that it is often half done.
const KEYS: u8 = 200;
/// How often the store changes its list of files.
const TIMES: usize = 100;

fn keys_of_a_write() -> impl Iterator<Item = Vec<u8>> {
    (0..KEYS).map(|number| {
        let mut key = keys::prefix(P0, keys::Kind::Item);
        key.push(number);
        key
    })
}

#[test]
fn a_write_is_seen_whole_while_memory_goes_to_files() {
    let dir = TempDir::new().unwrap();
    let log = LogIdentity { id: [9; 16], generation: campanile_core::Generation(0), partitions: 1 };
    let table = Table::open(dir.path(), &log, &options(&log, None)).map_err(|_| "open").unwrap();
    let is_over = AtomicBool::new(false);
    let goes_on = || !is_over.load(Ordering::Relaxed);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for round in (0_u64..).take_while(|_| goes_on()) {
                let value = round.to_be_bytes().to_vec();
                let changes = keys_of_a_write().map(|key| (key, Some(value.clone())));
                table.write(&[P0], changes).unwrap();
            }
        });
        let reader = scope.spawn(|| {
            let mut torn = 0;
            while goes_on() {
                let values = table.values(P0, &mut keys_of_a_write()).unwrap();
                torn += usize::from(values.iter().any(|value| *value != values[0]));
            }
            torn
        });
        for _ in 0..TIMES {
            table.keyspace.rotate_memtable_and_wait().unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
        writer.join().unwrap();
        assert_eq!(reader.join().unwrap(), 0, "writes that were seen in part");
    });
}
