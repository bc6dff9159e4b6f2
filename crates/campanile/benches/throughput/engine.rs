//! The engine: the real binary, as a process of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use campanile_api::Client;
use tempfile::TempDir;

use super::load;
use super::tower::{APP, KEY, TEAM, TOPIC, Tower};

/// Clock ticks per second of `/proc/<pid>/stat` (`USER_HZ`, 100 on every Linux there is).
const TICKS: f64 = 100.0;

/// A running `campanile serve`.
pub(crate) struct Engine {
    process: Child,
    address: String,
    directory: TempDir,
}

impl Engine {
    /// Starts it, with the tower as Apple.
    pub(crate) async fn start(tower: &Tower) -> Self {
        let directory = TempDir::new().expect("a directory");
        let path = |name: &str| directory.path().join(name).display().to_string();
        let port = TcpListener::bind("127.0.0.1:0").and_then(|bound| bound.local_addr());
        let port = port.expect("a free port").port();
        write_secret(&path("key.p8"), &tower.key.private_pem());
        fs::write(path("ca.pem"), tower.simulator.ca_pem()).expect("a certificate");
        let config = format!(
            "[serve]\nlisten = \"127.0.0.1:{port}\"\n[store]\ndirectory = \"{}\"\n\
             [log]\nlevel = \"warn\"\n[[apps]]\nid = \"{APP}\"\n[[apps.apns]]\n\
             environment = \"production\"\ntopic = \"{TOPIC}\"\nteam_id = \"{TEAM}\"\n\
             key_id = \"{KEY}\"\nkey_file = \"{}\"\nca_file = \"{}\"\naddress = \"{}\"\n",
            path("data"),
            path("key.p8"),
            path("ca.pem"),
            tower.simulator.addr(),
        );
        fs::write(path("campanile.toml"), config).expect("a configuration");
        let address = format!("http://127.0.0.1:{port}");
        let engine = Self { process: spawn(&directory), address, directory };
        engine.client().await;
        engine
    }

    /// Ends it with no warning, and starts it again on what it left; answers how long it takes
    /// until a request is answered.
    pub(crate) async fn kill_and_start(&mut self) -> Duration {
        self.process.kill().expect("it runs");
        self.process.wait().expect("its end");
        let started = Instant::now();
        self.process = spawn(&self.directory);
        load::first_request(&self.client().await).await;
        started.elapsed()
    }

    /// A client, as soon as the engine answers.
    pub(crate) async fn client(&self) -> Client {
        let limit = Instant::now() + Duration::from_secs(30);
        loop {
            match Client::connect(&self.address).await {
                Ok(client) => return client,
                Err(error) if Instant::now() > limit => panic!("the engine is not up: {error}"),
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }

    /// Waits until the engine has nothing left to do: a second without work to speak of.
    pub(crate) async fn settled(&self) {
        let limit = Instant::now() + Duration::from_secs(180);
        while self.idle(Duration::from_secs(1)).await.0 > 0.05 {
            assert!(Instant::now() < limit, "the engine does not come to rest");
        }
    }

    /// Has it build its state again beside what serves; answers records per second.
    pub(crate) fn replay(&self) -> f64 {
        let config = self.directory.path().join("campanile.toml");
        let done = Command::new(env!("CARGO_BIN_EXE_campanile"))
            .args(["replay", "--afresh", "--output", "json", "--config"])
            .arg(config)
            .output()
            .expect("the binary");
        let record: serde_json::Value =
            serde_json::from_slice(&done.stdout).unwrap_or_else(|_| panic!("{done:?}"));
        let number = |field: &str| record.get(field).and_then(serde_json::Value::as_f64);
        assert_eq!(record.get("drift").and_then(|drift| drift.as_array()).map(Vec::len), Some(0));
        number("records").expect("records") / number("seconds").expect("seconds")
    }

    /// The share of a core it uses over `span`, and its resident memory in MiB.
    pub(crate) async fn idle(&self, span: Duration) -> (f64, u64) {
        let before = self.ticks();
        tokio::time::sleep(span).await;
        let share = (self.ticks() - before) / TICKS / span.as_secs_f64();
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let status = status.expect("its status");
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let rss = rss.and_then(|rss| rss.trim().trim_end_matches(" kB").parse::<u64>().ok());
        (share, rss.expect("its memory") / 1024)
    }

    /// CPU time so far, in seconds.
    pub(crate) fn cpu(&self) -> f64 {
        self.ticks() / TICKS
    }

    fn ticks(&self) -> f64 {
        ticks(&self.process.id().to_string())
    }
}

/// CPU time of this process so far, in seconds: the generator's and the simulator's.
pub(crate) fn own_cpu() -> f64 {
    ticks("self") / TICKS
}

/// CPU time of a process, in clock ticks: `utime` and `stime`, the 14th and 15th field.
fn ticks(process: &str) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("its times");
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum()
}

fn spawn(directory: &TempDir) -> Child {
    let mut process = Command::new(env!("CARGO_BIN_EXE_campanile"))
        .args(["serve", "--config"])
        .arg(directory.path().join("campanile.toml"))
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary");
    let stderr = process.stderr.take().expect("its talk");
    #[expect(clippy::disallowed_methods, reason = "shows what the engine says")]
    std::thread::spawn(move || {
        BufReader::new(stderr).lines().map_while(Result::ok).for_each(|line| {
            println!("    {line}");
        });
    });
    process
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ended_already = self.process.kill();
        let _reaped = self.process.wait();
    }
}

fn write_secret(path: &str, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, text).expect("a key file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("its mode");
}
