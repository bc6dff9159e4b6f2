//! What the machine itself adds to every latency: how late a thread wakes that does nothing but
//! sleep, and what CPU time went to others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::ledger::Ledger;
use crate::process::TICKS;

/// How long the thread sleeps: as long as the generator between two looks at what is due.
const SLEEP: Duration = Duration::from_millis(1);

/// The machine during a load. Dropping it ends the thread.
pub(crate) struct Host {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    before: Cpu,
    began: Instant,
}

/// Seconds of CPU time since the machine started.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Cpu {
    used: f64,
    stolen: f64,
}

/// CPUs that were busy for others during a load, on average.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Others {
    /// For other processes of this machine.
    pub(crate) here: f64,
    /// For other machines of the host, while this one had something to do.
    pub(crate) stolen: f64,
}

impl Host {
    /// Begins to record in `ledger` how late the thread wakes.
    ///
    /// # Errors
    /// [`std::io::Error`] if the system gives no thread.
    pub(crate) fn begin(ledger: &Arc<Ledger>) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (ledger, stopped) = (ledger.clone(), stop.clone());
        let thread = std::thread::Builder::new().name("host".to_owned()).spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let due = ledger.now() + SLEEP;
                std::thread::sleep(SLEEP);
                ledger.host().count(due, ledger.now());
            }
        })?;
        Ok(Self { stop, thread: Some(thread), before: Cpu::now(), began: Instant::now() })
    }

    /// What others took since, if engine, simulator and generator took `ours`, in seconds.
    pub(crate) fn others(&self, ours: f64) -> Others {
        let (now, span) = (Cpu::now(), self.began.elapsed().as_secs_f64().max(0.001));
        // Times of processes are counted apart from those of the machine.
        let here = (now.used - self.before.used - ours).max(0.0);
        Others { here: here / span, stolen: (now.stolen - self.before.stolen) / span }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

impl Cpu {
    fn now() -> Self {
        Self::read(&std::fs::read_to_string("/proc/stat").unwrap_or_default())
    }

    /// The first line of `/proc/stat` (proc(5)).
    fn read(stat: &str) -> Self {
        let line = stat.lines().next().and_then(|line| line.strip_prefix("cpu "));
        let ticks = line.unwrap_or_default().split_whitespace().map(str::parse::<f64>);
        let ticks: Vec<f64> = ticks.map_while(Result::ok).collect();
        let [user, nice, system, _idle, _waiting, irq, soft_irq, stolen, ..] = ticks[..] else {
            return Self::default();
        };
        Self { used: (user + nice + system + irq + soft_irq) / TICKS, stolen: stolen / TICKS }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]

    use super::*;
    use crate::plan::Plan;
    use crate::track::Window;

    #[test]
    fn a_machine_says_what_it_did() {
        let stat = "cpu  100 20 30 5000 60 7 8 900 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n";
        assert_eq!(Cpu::read(stat), Cpu { used: 1.65, stolen: 9.0 });
        assert_eq!(Cpu::read(""), Cpu::default());
    }

    #[test]
    fn a_sleeper_is_late_and_ends_with_the_load() {
        let text = "about = \"x\"\nusers = 1\nendpoints = 1\nrate = 1\nwarm_up_seconds = 0\n\
                    seconds = 60\nrepeats = 1\n";
        let window = Window { from: Duration::ZERO, to: Duration::MAX };
        let plan = Plan::of(&toml::from_str(text).unwrap());
        let ledger = Arc::new(Ledger::new(1, plan, 1, window).unwrap());
        ledger.begin();
        let host = Host::begin(&ledger).unwrap();
        while ledger.host().all() < 3 {
            std::thread::yield_now();
        }
        // More than there is.
        assert_eq!(host.others(1e9).here, 0.0);
        drop(host);
        assert_eq!(Arc::strong_count(&ledger), 1, "the thread is gone");
        assert!(ledger.host().late().max() < 60_000_000);
    }
}
