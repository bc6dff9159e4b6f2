//! A process that uses a store, tells what it was promised, and dies.
//!
//! The test binary runs itself: the child is one of its ignored tests. It says one thing per line
//! once that is certain; what the parent read of it must be there afterwards.

use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use campanile_core::port::{
    Applied, EventLog, GroupEvent, GroupName, HistoryQuery, LogAdmin, NewRecord, Progress,
    Projection, ReadLimit, RecordRef, StartAt, Stream, Write,
};
use campanile_core::{Offset, Partition};
use campanile_embedded::{Options, Store};
use campanile_testkit::memory::ManualClock;
use campanile_testkit::vocabulary::{START, user};

use crate::place;

const PARTITIONS: u16 = 4;
const DIR: &str = "CAMPANILE_TEST_STORE";

/// What a child said, one thing per line.
#[derive(Default)]
pub(crate) struct Said {
    /// Acknowledged records: stream, partition, offset, number.
    pub(crate) appended: Vec<(Stream, u16, u64, u64)>,
    /// How far the fold of partition 0 was stored.
    pub(crate) folded: u64,
    /// How far the group's progress in partition 0 was stored.
    pub(crate) committed: u64,
}

/// A child, and a thread that reads what it says.
pub(crate) struct Talking {
    child: Child,
    said: Arc<Mutex<Said>>,
    reader: Option<JoinHandle<()>>,
}

pub(crate) fn options() -> Options {
    let clock = Arc::new(ManualClock::new(START));
    Options { segment_bytes: 64 << 10, ..place::options(PARTITIONS, clock) }
}

fn group() -> GroupName {
    GroupName("readers".into())
}

fn body(number: u64) -> Bytes {
    let mut body = number.to_le_bytes().to_vec();
    body.resize(8 + usize::try_from(number * 37 % 700).unwrap(), b'x');
    body.into()
}

impl Talking {
    /// Starts this test binary's test `child` on a store in `dir`.
    pub(crate) fn start(dir: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_process", "--ignored", "--nocapture"])
            .env(DIR, dir)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = Arc::new(Mutex::new(Said::default()));
        let (lines, heard) = (BufReader::new(child.stdout.take().unwrap()).lines(), said.clone());
        let hear = move || {
            for line in lines.map_while(Result::ok) {
                heard.lock().unwrap().hear(&line);
            }
        };
        let reader = std::thread::Builder::new().spawn(hear).unwrap();
        Self { child, said, reader: Some(reader) }
    }

    /// Waits until the child said enough.
    pub(crate) fn wait_for(&mut self, enough: impl Fn(&Said) -> bool) {
        for _ in 0..6000 {
            if enough(&self.said.lock().unwrap()) {
                return;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "the child ended: {ended:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the child said too little within a minute");
    }

    /// Stops the child where it is; it says nothing more.
    pub(crate) fn freeze(&self) {
        let stopped = Command::new("kill").args(["-STOP", &self.child.id().to_string()]).status();
        assert!(stopped.unwrap().success());
    }

    /// Kills the child, and answers all it ever said.
    pub(crate) fn kill(mut self) -> Said {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.reader.take().unwrap().join().unwrap();
        std::mem::take(&mut self.said.lock().unwrap())
    }
}

impl Drop for Talking {
    fn drop(&mut self) {
        // Gone already, unless the test failed.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Said {
    fn hear(&mut self, line: &str) {
        let mut words = line.split(' ');
        let what = words.next().unwrap_or_default();
        let numbers: Option<Vec<u64>> = words.map(|word| word.parse().ok()).collect();
        match (what, numbers.as_deref()) {
            ("appended", Some([stream, partition, offset, number])) => {
                let stream = if *stream == 0 { Stream::Events } else { Stream::Receipts };
                let partition = u16::try_from(*partition).unwrap();
                self.appended.push((stream, partition, *offset, *number));
            }
            ("folded", Some([next])) => self.folded = *next,
            ("committed", Some([next])) => self.committed = *next,
            // What the test harness says.
            _ => {}
        }
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

/// What the child does until it is killed.
#[expect(clippy::disallowed_methods, reason = "the parent says where")]
pub(crate) fn live() {
    let dir = std::env::var_os(DIR).expect("started by its parent");
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
    let store = Store::open(dir, &options()).unwrap();
    runtime.block_on(async {
        tokio::join!(
            append(&store, Stream::Events),
            append(&store, Stream::Receipts),
            fold(&store)
        );
    });
}

async fn append(store: &Store, stream: Stream) {
    let log = store.log(stream);
    let kept = log.bounds(Partition(0)).await.unwrap();
    for number in kept.end.0 * 1000.. {
        let batch: Vec<_> = (0..PARTITIONS)
            .map(|partition| NewRecord {
                partition: Partition(partition),
                user: user(partition),
                body: body(number),
            })
            .collect();
        for answer in log.append(batch).await {
            let at = answer.unwrap();
            let (partition, offset) = (at.partition, at.offset);
            let stream = u8::from(stream == Stream::Receipts);
            say(&format!("appended {stream} {partition} {offset} {number}"));
        }
    }
}

/// Folds partition 0 of the events: the history of its user, and nothing else.
async fn fold(store: &Store) {
    let (log, projection, p) = (store.log(Stream::Events), store.projection(), Partition(0));
    log.create_group(&group(), StartAt::Beginning).await.unwrap();
    let claim = projection.claim(p, Stream::Events).await.unwrap();
    let mut next = claim.next;
    let mut member = log.join(&group()).await.unwrap();
    loop {
        let GroupEvent::Records { partition, records } = member.next().await.unwrap() else {
            continue;
        };
        if partition != p {
            continue;
        }
        let end = records.last().unwrap().offset.next();
        let new = records.iter().filter(|record| record.offset >= next);
        let record = |offset| RecordRef { stream: Stream::Events, offset };
        let history: Vec<_> = new.map(|it| (user(0), None, record(it.offset))).collect();
        if !history.is_empty() {
            let write = Write {
                partition: p,
                stream: Stream::Events,
                epoch: claim.epoch,
                from: next,
                to: end,
                time: START,
                pieces: Vec::new(),
                agenda: Vec::new(),
                history,
            };
            let projection: &dyn Projection = &*projection;
            assert_eq!(projection.apply(write).await, Ok(Applied::Applied));
            next = end;
            say(&format!("folded {next}"));
        }
        member.commit(&[Progress::from(p, end)]).await.unwrap();
        say(&format!("committed {end}"));
    }
}

/// What a store holds of what a child said.
pub(crate) struct Found {
    pub(crate) folded: u64,
    pub(crate) committed: u64,
}

/// Opens the store that a child left, and checks what must be there in any case.
pub(crate) async fn check(dir: &Path, said: &Said) -> Found {
    let store = Store::open(dir, &options()).unwrap();
    for (stream, partition, offset, number) in &said.appended {
        let log = store.log(*stream);
        let one = ReadLimit { records: 1, bytes: 1 };
        let read = log.read(Partition(*partition), Offset(*offset), one).await.unwrap();
        let found = read.records.first().map(|record| record.body.clone());
        assert_eq!(found, Some(body(*number)), "lost {stream:?}/{partition}/{offset}");
    }
    let tail = store.log(Stream::Events).bounds(Partition(0)).await.unwrap().end;
    let projection = store.projection();
    let folded = projection.claim(Partition(0), Stream::Events).await.unwrap().next;
    let history = projection.history(Partition(0), user(0), HistoryQuery::default()).await.unwrap();
    let offsets: Vec<_> = history.iter().map(|record| record.offset.0).collect();
    let expected: Vec<_> = (0..folded.0).collect();
    assert_eq!(offsets, expected, "the checkpoint and the history do not belong together");
    assert!(folded <= tail, "folded {folded}, which is past {tail}");
    let committed = match store.log(Stream::Events).progress(&group()).await {
        Ok(progress) => progress.first().unwrap().next,
        Err(_) => Offset(0),
    };
    assert!(committed <= tail, "progress {committed} is past {tail}");
    Found { folded: folded.0, committed: committed.0 }
}
