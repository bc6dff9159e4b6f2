//! The engine under load: `campanile serve`, a process of its own, or one that runs already.

use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use campanile_api::Client;
use tempfile::TempDir;

use crate::error::LoadError;
use crate::platforms::Platforms;
use crate::process::Process;

/// How long one that was started here may take to answer.
const UP_WITHIN: Duration = Duration::from_secs(30);
/// How long somebody may take to start it with the configuration that was written.
const STARTED_WITHIN: Duration = Duration::from_secs(600);

/// What is under load.
#[derive(Clone, Debug)]
pub(crate) enum Subject {
    /// This binary, started afresh for each round.
    Binary(PathBuf),
    /// What somebody else starts.
    Running(Running),
}

/// An engine that somebody else starts.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    /// Where it is called, as a URL.
    pub(crate) address: String,
    /// Where it shows its metrics, if it does.
    pub(crate) metrics: Option<String>,
    /// Where what it must be configured with is written.
    pub(crate) directory: PathBuf,
    /// The address of this machine at which it reaches the simulators.
    pub(crate) simulators: IpAddr,
}

/// A running engine. One that was started here ends with it, and its directory is removed.
pub(crate) struct Engine {
    /// If it was started here, with its directory.
    own: Option<(Child, TempDir)>,
    /// What it is configured with.
    file: PathBuf,
    address: String,
    metrics: Option<String>,
}

impl Subject {
    /// The address at which it reaches the simulators.
    pub(crate) const fn simulators(&self) -> IpAddr {
        match self {
            Self::Binary(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            Self::Running(running) => running.simulators,
        }
    }
}

impl Engine {
    /// An engine with routes of `apps` to `platforms`.
    ///
    /// # Errors
    /// [`LoadError::Io`].
    pub(crate) fn start(
        subject: &Subject,
        platforms: &Platforms,
        apps: &[&str],
    ) -> Result<Self, LoadError> {
        match subject {
            Subject::Binary(binary) => Self::own(binary, platforms, apps),
            Subject::Running(running) => Self::of(running, platforms, apps),
        }
    }

    fn own(binary: &Path, platforms: &Platforms, apps: &[&str]) -> Result<Self, LoadError> {
        let directory = tempfile::Builder::new().prefix("campanile-load-").tempdir()?;
        // Bound and let go: the engine takes them at once, and says so if somebody was faster.
        let ports = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
        let [address, metrics] = ports.map(|port| port.local_addr().map(|it| it.to_string()));
        let (address, metrics) = (address?, metrics?);
        let config = format!(
            "[serve]\nlisten = \"{address}\"\n[observe]\nlisten = \"{metrics}\"\n\
             [store]\ndirectory = {:?}\n[log]\nlevel = \"warn\"\n{}",
            data(&directory).display().to_string(),
            configuration(platforms, apps, directory.path())?,
        );
        let file = directory.path().join("campanile.toml");
        std::fs::write(&file, config)?;
        let mut command = Command::new(binary);
        command.args(["serve", "--config"]).arg(&file).stdin(Stdio::null());
        let process = command.spawn()?;
        let (own, address) = (Some((process, directory)), format!("http://{address}"));
        Ok(Self { own, file, address, metrics: Some(metrics) })
    }

    /// Writes the configuration, and says so: the names of simulators and keys are new in each run.
    fn of(running: &Running, platforms: &Platforms, apps: &[&str]) -> Result<Self, LoadError> {
        let directory = std::path::absolute(&running.directory)?;
        std::fs::create_dir_all(&directory)?;
        let file = directory.join("load.toml");
        std::fs::write(&file, configuration(platforms, apps, &directory)?)?;
        let (address, metrics) = (running.address.clone(), running.metrics.clone());
        eprintln!("loadtest: waiting for {address}; its configuration is {}", file.display());
        Ok(Self { own: None, file, address, metrics })
    }

    /// A client, as soon as the engine answers.
    ///
    /// # Errors
    /// [`LoadError::NotUp`], also if it ended.
    pub(crate) async fn client(&mut self) -> Result<Client, LoadError> {
        let within = if self.own.is_some() { UP_WITHIN } else { STARTED_WITHIN };
        let limit = Instant::now() + within;
        loop {
            if let Ok(client) = Client::connect(&self.address).await {
                return Ok(client);
            }
            let has_ended = match &mut self.own {
                Some((process, _)) => process.try_wait()?.is_some(),
                None => false,
            };
            if Instant::now() > limit || has_ended {
                return Err(LoadError::NotUp(within));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Where it is called.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Where it shows its metrics, if it does.
    pub(crate) fn metrics(&self) -> Option<&str> {
        self.metrics.as_deref()
    }

    /// Its data directory, if it was started here.
    pub(crate) fn data(&self) -> Option<PathBuf> {
        self.own.as_ref().map(|(_, directory)| data(directory))
    }

    /// The size of its log; `None` if it keeps it elsewhere.
    pub(crate) fn log_bytes(&self) -> Option<usize> {
        let files = std::fs::read_dir(self.data()?.join("log")).ok()?.flatten();
        let sizes = files.filter_map(|file| usize::try_from(file.metadata().ok()?.len()).ok());
        Some(sizes.sum())
    }

    /// What it takes, if it is on this machine: one that somebody else started is known by the
    /// configuration that it was started with.
    pub(crate) fn process(&self) -> Option<Process> {
        match &self.own {
            Some((process, _)) => Some(Process::of(process.id())),
            None => Process::with_argument(self.file.as_os_str()),
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some((process, _)) = &mut self.own {
            let _ended_already = process.kill();
            let _reaped = process.wait();
        }
    }
}

/// What any engine must be configured with; the secrets are written into `directory`.
fn configuration(
    platforms: &Platforms,
    apps: &[&str],
    directory: &Path,
) -> Result<String, LoadError> {
    Ok(format!("[ingest]\nuser_rate = 0\n{}", platforms.configure(apps, directory)?))
}

fn data(directory: &TempDir) -> PathBuf {
    directory.path().join("data")
}
