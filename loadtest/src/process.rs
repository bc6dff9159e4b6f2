//! What a process takes, as the system counts it (proc(5)).

use std::ffi::OsStr;

/// Clock ticks per second of `/proc/<pid>/stat` (`USER_HZ`, 100 on every Linux there is).
pub(crate) const TICKS: f64 = 100.0;

/// A process that is watched.
#[derive(Clone, Debug)]
pub(crate) struct Process(String);

impl Process {
    /// The process of this number.
    pub(crate) fn of(id: u32) -> Self {
        Self(id.to_string())
    }

    /// This process.
    pub(crate) fn own() -> Self {
        Self("self".to_owned())
    }

    /// The first process that was started with this argument, if there is one.
    pub(crate) fn with_argument(argument: &OsStr) -> Option<Self> {
        let processes = std::fs::read_dir("/proc").ok()?.flatten();
        let mut ids = processes.filter_map(|it| it.file_name().to_str()?.parse().ok());
        let has_it = |id: &u32| {
            let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0).any(|it| it == argument.as_encoded_bytes())
        };
        ids.find(has_it).map(Self::of)
    }

    /// CPU time so far, in seconds: `utime` and `stime`, the 14th and 15th field.
    pub(crate) fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0)).unwrap_or_default();
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let ticks: f64 =
            fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
        ticks / TICKS
    }

    /// The most memory it ever held, in MiB.
    pub(crate) fn peak_mib(&self) -> f64 {
        self.status("VmHWM:") / 1024.0
    }

    /// The memory that it holds, in KiB.
    pub(crate) fn held_kib(&self) -> f64 {
        self.status("VmRSS:")
    }

    fn status(&self, name: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_takes_something() {
        let own = Process::own();
        let before = own.cpu();
        while own.cpu() <= before {
            std::hint::spin_loop();
        }
        assert!(own.held_kib() > 100.0 && own.peak_mib() * 1024.0 >= own.held_kib());
        let name = std::env::args_os().next().unwrap_or_default();
        assert!(Process::with_argument(&name).is_some_and(|it| it.held_kib() > 100.0));
        assert!(Process::with_argument(OsStr::new("nobody was started with this")).is_none());
        // No process has this number.
        assert_eq!((Process::of(u32::MAX).cpu(), Process::of(u32::MAX).peak_mib()), (0.0, 0.0));
    }
}
