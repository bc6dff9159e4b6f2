//! Whatever happens to the power, to the process and to single calls of the disk: what was
//! acknowledged is there, and what was refused is not.

use std::collections::BTreeMap;
use std::io;

use campanile_core::port::{AppendError, Stream};
use futures::future::join_all;
use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::test_runner::Config;
use proptest::{prop_assert, prop_assert_eq, proptest};

use super::*;
use crate::disk::volatile::Fault;

/// What happens to a log.
#[derive(Clone, Debug)]
enum Step {
    /// Records are appended at the same time, each to a partition.
    Append(Vec<u16>),
    /// They are, and before all of them are answered the power goes.
    AppendAndCut(Vec<u16>, u64),
    /// The power goes.
    Cut(u64),
    /// The process ends and starts again.
    Restart,
    /// A call of the disk fails.
    Fail(u64, bool),
    /// The disk fills up, for one append.
    Full(u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let lanes = || vec(0..6_u16, 1..12);
    let step = prop_oneof![
        6 => lanes().prop_map(Step::Append),
        3 => (lanes(), any::<u64>()).prop_map(|(lanes, seed)| Step::AppendAndCut(lanes, seed)),
        1 => any::<u64>().prop_map(Step::Cut),
        1 => proptest::strategy::Just(Step::Restart),
        2 => (0..8_u64, any::<bool>()).prop_map(|(after, is_full)| Step::Fail(after, is_full)),
        1 => (0..6_u16).prop_map(Step::Full),
    ];
    vec(step, 1..40)
}

/// What is known of each record, by lane and offset or by body.
#[derive(Default)]
struct Model {
    sent: usize,
    acknowledged: BTreeMap<(u16, u64), Vec<u8>>,
    refused: Vec<Vec<u8>>,
}

struct World {
    disk: VolatileDisk,
    log: Arc<Log>,
    model: Model,
}

fn draws(mut seed: u64) -> impl FnMut() -> u64 {
    move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        seed >> 33
    }
}

fn stream_of(lane: u16) -> Stream {
    if lane < 3 { Stream::Events } else { Stream::Receipts }
}

impl World {
    fn new() -> Self {
        let disk = new_disk();
        let log = open(&disk).unwrap().0;
        Self { disk, log, model: Model::default() }
    }

    /// Appends one record to each of `lanes`, at once, and notes the answers that `cut` lets pass.
    async fn append(&mut self, lanes: &[u16], cut: Option<u64>) {
        let mut sent = Vec::new();
        for lane in lanes {
            self.model.sent += 1;
            sent.push((*lane, body(self.model.sent)));
        }
        let answers = sent.into_iter().map(|(lane, body)| {
            let log = stream(&self.log, stream_of(lane));
            async move { (append_one(&log, lane % 3, &body).await, lane, body) }
        });
        let mut answers = answers.map(Box::pin).collect::<Vec<_>>();
        if let Some(seed) = cut {
            // Some are answered, the rest is under way when the power goes.
            let mut draw = draws(seed);
            let answered = draw() as usize % answers.len();
            while answers.len() > answered {
                let (answer, _, rest) = futures::future::select_all(answers).await;
                self.model.note(answer);
                answers = rest;
            }
            let cut = self.disk.after_power_cut(draw);
            self.reopen_on(cut);
        } else {
            for answer in join_all(answers).await {
                self.model.note(answer);
            }
        }
    }

    fn reopen_on(&mut self, disk: VolatileDisk) {
        let opened = match open(&disk) {
            // The fault that was waiting; there is only one.
            Err(OpenError::Io { .. }) if disk.has_failed() => open(&disk),
            opened => opened,
        };
        self.log = opened.expect("a log without damage opens").0;
        self.disk = disk;
    }

    async fn step(&mut self, step: &Step) {
        match step {
            Step::Append(lanes) => self.append(lanes, None).await,
            Step::AppendAndCut(lanes, seed) => self.append(lanes, Some(*seed)).await,
            Step::Cut(seed) => {
                let disk = self.disk.after_power_cut(draws(*seed));
                self.reopen_on(disk);
            }
            Step::Restart => {
                self.log.close();
                let disk = self.disk.clone();
                self.reopen_on(disk);
            }
            Step::Fail(after, is_full) => {
                let kind = if *is_full { io::ErrorKind::StorageFull } else { io::ErrorKind::Other };
                self.disk.fail(Fault { after: *after, kind });
            }
            Step::Full(lane) => {
                self.disk.limit(Some(self.disk.used() + 40));
                self.append(&[*lane], None).await;
                self.disk.limit(None);
            }
        }
        if self.log.core.stopped().borrow().is_some() {
            let disk = self.disk.clone();
            self.reopen_on(disk);
        }
    }

    async fn check(&self) -> Result<(), proptest::test_runner::TestCaseError> {
        for lane in 0..6 {
            let found = read_all(&stream(&self.log, stream_of(lane)), lane % 3).await;
            let found = found.expect("nothing is damaged");
            let expected: Vec<_> = (0..found.len() as u64).map(Offset).collect();
            prop_assert_eq!(offsets(&found), expected, "gaps in lane {}", lane);
            prop_assert!(found.is_sorted_by_key(|record| record.time));
            for ((of, offset), body) in &self.model.acknowledged {
                let there = found.get(usize::try_from(*offset).unwrap());
                let there = there.map(|record| record.body.to_vec());
                prop_assert!(*of != lane || there.as_ref() == Some(body), "lost {lane}/{offset}");
            }
            let refused = found.iter().find(|it| self.model.refused.contains(&it.body.to_vec()));
            prop_assert_eq!(refused, None, "a refused record is there");
        }
        Ok(())
    }
}

impl Model {
    fn note(&mut self, (answer, lane, body): (Result<Position, AppendError>, u16, Vec<u8>)) {
        match answer {
            Ok(at) => {
                let before = self.acknowledged.insert((lane, at.offset.0), body);
                assert_eq!(before, None, "two records at {lane}/{}", at.offset);
            }
            Err(AppendError::Refused { .. }) => self.refused.push(body),
            Err(AppendError::Indefinite { .. }) => {}
        }
    }
}

proptest! {
    #![proptest_config(Config { cases: 400, ..Config::default() })]

    #[test]
    fn what_is_acknowledged_survives(steps in steps()) {
        run(async {
            let mut world = World::new();
            for step in &steps {
                world.step(step).await;
                world.check().await?;
            }
            // Whatever happened, the log goes on.
            world.disk.clear_fault();
            let last = append_one(&stream(&world.log, Stream::Events), 0, b"last").await;
            prop_assert!(last.is_ok(), "{last:?}");
            Ok(())
        })?;
    }
}
