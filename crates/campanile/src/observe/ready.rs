//! Whether the process is ready: everything that is needed is there, and every role moves.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use campanile_core::Tick;
use campanile_core::port::Clock;
use campanile_engine::tasks::sleep;

use super::look::{GroupLook, Look};

/// Between two beats.
const PULSE: Duration = Duration::from_millis(500);
/// A thread, or a log, that is silent for longer than this is not only slow.
const SILENT: Duration = Duration::from_secs(10);

/// A sign of life: whoever keeps it is run again and again by the thread of its role.
pub(crate) struct Beat {
    name: &'static str,
    clock: Arc<dyn Clock>,
    /// Milliseconds of the tick of the last one.
    last: AtomicU64,
}

impl Beat {
    pub(super) fn new(name: &'static str, clock: Arc<dyn Clock>) -> Self {
        let beat = Self { name, clock, last: AtomicU64::new(0) };
        beat.give();
        beat
    }

    /// Beats for as long as it is polled.
    pub(crate) async fn keep(&self) -> Infallible {
        loop {
            self.give();
            sleep(PULSE).await;
        }
    }

    /// Whose it is.
    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    fn give(&self) {
        let since_start = self.clock.tick().since(Tick::default());
        let millis = u64::try_from(since_start.as_millis()).unwrap_or(u64::MAX);
        self.last.store(millis, Ordering::Relaxed);
    }

    fn last(&self) -> Tick {
        Tick::from_start(Duration::from_millis(self.last.load(Ordering::Relaxed)))
    }
}

/// What keeps a process from being ready, one reason each. A group that has something to do and
/// finishes nothing for `stuck_after` is stuck.
pub(super) fn unready(
    look: &Look,
    beats: &[Arc<Beat>],
    stuck_after: Duration,
    now: Tick,
) -> Vec<String> {
    let mut reasons = Vec::new();
    let is_late = |since: Tick| now.since(since) > SILENT;
    let seconds = |since: Tick| now.since(since).as_secs();
    match look.at {
        None => reasons.push("the groups were not looked at yet".to_owned()),
        Some(at) if is_late(at) => {
            reasons.push(format!("log: has not answered for {} s", seconds(at)));
        }
        Some(_) => {}
    }
    reasons.extend(look.trouble.clone());
    if look.unbuilt > 0 {
        reasons.push(format!("projection: {} partitions are not built", look.unbuilt));
    }
    for beat in beats.iter().filter(|beat| is_late(beat.last())) {
        reasons.push(format!("{}: has not turned for {} s", beat.name, seconds(beat.last())));
    }
    let is_stuck = |group: &&GroupLook| group.lag > 0 && now.since(group.moved) > stuck_after;
    for group in look.groups.iter().filter(is_stuck) {
        let (name, lag, since) = (group.name, group.lag, seconds(group.moved));
        reasons.push(format!("{name}: {lag} records wait, none finished for {since} s"));
    }
    reasons
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use campanile_core::Timestamp;

    use super::*;

    #[derive(Debug, Default)]
    struct Hand(Mutex<Tick>);

    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            Timestamp::ZERO
        }

        fn tick(&self) -> Tick {
            *self.0.lock().unwrap()
        }
    }

    fn at(seconds: u64) -> Tick {
        Tick::from_start(Duration::from_secs(seconds))
    }

    fn look(at: Tick) -> Look {
        let (now, oldest) = (Timestamp::ZERO, None);
        let group = GroupLook { name: "deliver:apns", lag: 3, oldest, now, moved: at };
        Look { at: Some(at), groups: vec![group], unbuilt: 0, trouble: None }
    }

    #[test]
    fn every_reason_is_told() {
        let clock = Arc::new(Hand::default());
        let beats = [Arc::new(Beat::new("scheduler", clock.clone()))];
        let unready = |look: &Look, now| unready(look, &beats, Duration::from_secs(5), now);
        assert_eq!(unready(&look(at(0)), at(5)), [""; 0]);
        let stuck = ["deliver:apns: 3 records wait, none finished for 6 s"];
        assert_eq!(unready(&look(at(0)), at(6)), stuck);
        assert_eq!(
            unready(&look(at(0)), at(11)),
            [
                "log: has not answered for 11 s",
                "scheduler: has not turned for 11 s",
                "deliver:apns: 3 records wait, none finished for 11 s",
            ]
        );
        *clock.0.lock().unwrap() = at(11);
        beats.iter().for_each(|beat| beat.give());
        assert_eq!(unready(&look(at(9)), at(12)), [""; 0]);
        let broken = Look { unbuilt: 2, trouble: Some("log: gone".to_owned()), ..look(at(12)) };
        let expected = ["log: gone", "projection: 2 partitions are not built"];
        assert_eq!(unready(&broken, at(12)), expected);
        assert_eq!(unready(&Look::default(), at(12)), ["the groups were not looked at yet"]);
    }
}
