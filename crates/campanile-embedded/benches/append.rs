//! What the embedded store does on this machine, as a table.
//!
//! Appending is told as a share of what the disk does: plain writes of as many bytes in as many
//! pieces, each followed by a sync, in the same run. Shares mean something elsewhere, rates do not.
//! An argument is the number of events (default 400 000).

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a benchmark"
)]

use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use campanile_core::port::{
    AgendaWrite, Applied, EventLog, ItemOrder, ItemQuery, NewRecord, Piece, PieceKey, PieceWrite,
    Projection, ReadLimit, RecordRef, Stream, Write,
};
use campanile_core::{
    AgendaChange, AgendaEntry, AppId, Due, NotificationId, Offset, Partition, UserRef,
};
use campanile_embedded::{EmbeddedLog, Options, Store};
use campanile_testkit::memory::{ManualClock, SeededEntropy};
use campanile_testkit::scenario::posted;
use campanile_testkit::strategy::recorded;
use campanile_testkit::vocabulary::{START, app, item, user};
use campanile_testkit::world::World;

/// How long a body is.
const BODY: usize = 400;
const PARTITIONS: u16 = 16;
/// How often appends and plain writes take turns.
const TURNS: usize = 20;

fn main() {
    let events = std::env::args().nth(1).and_then(|it| it.parse().ok()).unwrap_or(400_000);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        println!("{events} events of {BODY} bytes, {PARTITIONS} partitions\n");
        println!("{:<44}{:>14}{:>12}", "", "per second", "of raw");
        for (callers, batch) in [(1, 1000), (1, 100), (1, 10)] {
            append(events.min(batch * 2000), callers, batch).await;
        }
        for (callers, batch) in [(4, 250), (16, 100), (64, 10)] {
            append(events.min(callers * batch * 500), callers, batch).await;
        }
        read(events).await;
        project(events / 4).await;
    });
}

fn options() -> Options {
    let clock = Arc::new(ManualClock::new(START));
    Options::new(PARTITIONS, clock, Arc::new(SeededEntropy::new(1)))
}

fn line(what: &str, count: usize, took: Duration, raw: Option<f64>) -> f64 {
    let rate = count as f64 / took.as_secs_f64();
    let share = raw.map_or_else(String::new, |raw| format!("{:.2}", rate / raw));
    println!("{what:<44}{rate:>14.0}{share:>12}");
    rate
}

/// Plain writes and syncs of `pieces` pieces of `bytes` bytes.
fn raw(file: &mut File, pieces: usize, bytes: usize) -> Duration {
    let piece = vec![0x5a; bytes];
    let start = Instant::now();
    for _ in 0..pieces {
        file.write_all(&piece).unwrap();
        file.sync_data().unwrap();
    }
    start.elapsed()
}

fn batch(size: usize, number: usize) -> Vec<NewRecord> {
    let body = Bytes::from(vec![b'x'; BODY]);
    let record = |index: usize| {
        let user = user(u16::try_from((number * 31 + index) % 10_000).unwrap());
        NewRecord { partition: Partition(user.prefix() % PARTITIONS), user, body: body.clone() }
    };
    (0..size).map(record).collect()
}

async fn fill(log: &Arc<EmbeddedLog>, events: usize, callers: usize, size: usize) -> Duration {
    let start = Instant::now();
    let caller = |caller: usize| {
        let log = log.clone();
        tokio::spawn(async move {
            for number in 0..events / callers / size {
                let answers = log.append(batch(size, number + caller)).await;
                assert!(answers.iter().all(Result::is_ok));
            }
        })
    };
    let callers: Vec<_> = (0..callers).map(caller).collect();
    for caller in callers {
        caller.await.unwrap();
    }
    start.elapsed()
}

/// Appends and plain writes take turns, so that whatever else the machine does meets both.
async fn append(events: usize, callers: usize, size: usize) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path().join("store"), &options()).unwrap();
    let log = store.log(Stream::Events);
    let mut file = File::create(dir.path().join("raw")).unwrap();
    let (mut appended, mut written) = (Duration::ZERO, Duration::ZERO);
    let pieces = events / TURNS / callers / size;
    for _ in 0..TURNS {
        written += raw(&mut file, pieces, callers * size * BODY);
        appended += fill(&log, events / TURNS, callers, size).await;
    }
    let events = pieces * callers * size * TURNS;
    let raw = events as f64 / written.as_secs_f64();
    line(&format!("append, {callers} callers, batches of {size}"), events, appended, Some(raw));
}

async fn read_all(log: &EmbeddedLog) -> usize {
    let mut read = 0;
    for partition in log.identity().partitions() {
        let range = log.bounds(partition).await.unwrap();
        let mut from = range.start;
        while from < range.end {
            let limit = ReadLimit { records: 512, bytes: 1 << 20 };
            let batch = log.read(partition, from, limit).await.unwrap();
            (from, read) = (batch.next, read + batch.records.len());
        }
    }
    read
}

async fn read(events: usize) {
    let dir = tempfile::tempdir().unwrap();
    let in_memory = Options { tail_bytes: usize::MAX, ..options() };
    let store = Store::open(dir.path(), &in_memory).unwrap();
    fill(&store.log(Stream::Events), events, 4, 250).await;
    let start = Instant::now();
    let count = read_all(&store.log(Stream::Events)).await;
    line("read, from memory", count, start.elapsed(), None);
    store.close();
    drop(store);
    let start = Instant::now();
    let store = Store::open(dir.path(), &options()).unwrap();
    let opened = start.elapsed();
    let start = Instant::now();
    let count = read_all(&store.log(Stream::Events)).await;
    line("read, from files", count, start.elapsed(), None);
    println!("{:<44}{:>11} ms", "open", opened.as_millis());
}

/// A step like the projector's: posts of new items, each with its end on the agenda.
struct Steps {
    template: Arc<campanile_core::Item>,
    app: AppId,
}

impl Steps {
    fn new() -> Self {
        let mut world = World::default();
        let event = posted("a").of(user(0)).event(START);
        world.apply(&recorded(0, START, user(0), event));
        let key = PieceKey::Item(user(0), item(user(0), "a"));
        let found = world.pieces().find_map(|(it, piece)| (*it == key).then(|| piece.clone()));
        let Some(Piece::Item(template)) = found else { unreachable!("the item was posted") };
        Self { template, app: app() }
    }

    fn id(number: usize) -> NotificationId {
        let mut id = [0; 16];
        id[8..].copy_from_slice(&(number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        NotificationId::from_bytes(id)
    }

    fn user(number: usize) -> UserRef {
        user(u16::try_from(number % 1000 * 64).unwrap_or(u16::MAX))
    }

    fn step(&self, from: usize, size: usize, epoch: campanile_core::port::Epoch) -> Write {
        let to = Offset((from + size) as u64);
        let (partition, stream) = (Partition(0), Stream::Events);
        let (mut pieces, mut agenda, mut history) = (Vec::new(), Vec::new(), Vec::new());
        for number in from..from + size {
            let (user, id) = (Self::user(number), Self::id(number));
            let offset = Offset(number as u64);
            let mut item = campanile_core::Item::clone(&self.template);
            (item.id, item.as_of) = (id, offset.next());
            let keep_until = Some(item.keep_until());
            let due = Due::Expire { id, revision: 1 };
            let change = AgendaChange::Add(AgendaEntry { at: item.expires_at, due });
            let (key, piece) = (PieceKey::Item(user, id), Piece::Item(Arc::new(item)));
            pieces.push(PieceWrite { key, piece, keep_until, is_new: true, comes_again: true });
            agenda.push(AgendaWrite { app: self.app.clone(), user, change });
            history.push((user, Some(id), RecordRef { stream, offset }));
        }
        let (from, time) = (Offset(from as u64), START);
        Write { partition, stream, epoch, from, to, time, pieces, agenda, history }
    }
}

async fn project(events: usize) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &Options { partitions: 64, ..options() }).unwrap();
    let projection = store.projection();
    let projection: &dyn Projection = &*projection;
    let p = Partition(0);
    let (steps, size) = (Steps::new(), 512);
    let claim = projection.claim(p, Stream::Events).await.unwrap();
    let writes: Vec<Write> =
        (0..events / size).map(|step| steps.step(step * size, size, claim.epoch)).collect();
    let start = Instant::now();
    for write in writes {
        assert_eq!(projection.apply(write).await, Ok(Applied::Applied));
    }
    line("apply, posts of new items, steps of 512", events / size * size, start.elapsed(), None);
    let (count, start) = (20_000, Instant::now());
    for number in 0..count {
        let number = number * 7 % (events / size * size);
        let key = PieceKey::Item(Steps::user(number), Steps::id(number));
        let views = projection.view(p, &[key]).await.unwrap();
        assert!(views.pieces.iter().all(Option::is_some));
    }
    line("view, one item", count, start.elapsed(), None);
    let (count, start) = (5000, Instant::now());
    let mut found = 0;
    for number in 0..count {
        let query = ItemQuery { order: ItemOrder::NewestFirst, after: None, limit: 50 };
        found += projection.items(p, Steps::user(number), query).await.unwrap().items.len();
    }
    line("items, a page of 50", count, start.elapsed(), None);
    assert!(found > count);
}
