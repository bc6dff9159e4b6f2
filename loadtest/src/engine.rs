//! The engine under load: `campanile serve`, a process of its own.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use campanile_api::Client;
use tempfile::TempDir;

use crate::error::LoadError;
use crate::platforms::Platforms;
use crate::process::Process;

/// How long it may take to answer.
const UP_WITHIN: Duration = Duration::from_secs(30);

/// A running engine; dropping it ends the process and removes its directory.
pub(crate) struct Engine {
    process: Child,
    address: String,
    /// Where it shows its metrics.
    metrics: String,
    directory: TempDir,
}

impl Engine {
    /// Starts `binary` with fresh data and routes of `apps` to `platforms`.
    ///
    /// # Errors
    /// [`LoadError::Io`].
    pub(crate) fn start(
        binary: &Path,
        platforms: &Platforms,
        apps: &[&str],
    ) -> Result<Self, LoadError> {
        let directory = tempfile::Builder::new().prefix("campanile-load-").tempdir()?;
        // Bound and let go: the engine takes them at once, and says so if somebody was faster.
        let ports = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
        let [address, metrics] = ports.map(|port| port.local_addr().map(|it| it.to_string()));
        let (address, metrics) = (address?, metrics?);
        let config = format!(
            "[serve]\nlisten = \"{address}\"\n[observe]\nlisten = \"{metrics}\"\n\
             [store]\ndirectory = {:?}\n[ingest]\nuser_rate = 0\n[log]\nlevel = \"warn\"\n{}",
            data(&directory).display().to_string(),
            platforms.configure(apps, directory.path())?,
        );
        let file = directory.path().join("campanile.toml");
        std::fs::write(&file, config)?;
        let mut command = Command::new(binary);
        command.args(["serve", "--config"]).arg(&file).stdin(Stdio::null());
        let process = command.spawn()?;
        Ok(Self { process, address: format!("http://{address}"), metrics, directory })
    }

    /// A client, as soon as the engine answers.
    ///
    /// # Errors
    /// [`LoadError::NotUp`], also if it ended.
    pub(crate) async fn client(&mut self) -> Result<Client, LoadError> {
        let limit = Instant::now() + UP_WITHIN;
        loop {
            if let Ok(client) = Client::connect(&self.address).await {
                return Ok(client);
            }
            if Instant::now() > limit || self.process.try_wait()?.is_some() {
                return Err(LoadError::NotUp(UP_WITHIN));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Where it is called.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Where it shows its metrics.
    pub(crate) fn metrics(&self) -> &str {
        &self.metrics
    }

    /// Its data directory.
    pub(crate) fn data(&self) -> PathBuf {
        data(&self.directory)
    }

    /// The size of its log; 0 if it keeps it elsewhere.
    pub(crate) fn log_bytes(&self) -> usize {
        let files = std::fs::read_dir(self.data().join("log")).into_iter().flatten().flatten();
        let sizes = files.filter_map(|file| usize::try_from(file.metadata().ok()?.len()).ok());
        sizes.sum()
    }

    /// What it takes.
    pub(crate) fn process(&self) -> Process {
        Process::of(self.process.id())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ended_already = self.process.kill();
        let _reaped = self.process.wait();
    }
}

fn data(directory: &TempDir) -> PathBuf {
    directory.path().join("data")
}
