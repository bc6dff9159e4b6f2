//! The binary as a child process.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use campanile_simulate::{Clock, SystemClock};
use tokio::sync::watch;

/// A limit for whatever a test waits for; nothing takes as long unless it is broken.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// The binary, with nothing of this process's environment that could matter to it.
pub(crate) fn campanile() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_campanile"));
    command.env_clear().stdin(Stdio::null());
    command
}

/// Runs the binary to its end.
pub(crate) fn run<I: AsRef<OsStr>>(args: impl IntoIterator<Item = I>) -> Output {
    campanile().args(args).output().unwrap()
}

/// What a finished command said on standard error.
pub(crate) fn talk(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// What a finished command said on standard output.
pub(crate) fn data(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Milliseconds since the epoch.
pub(crate) fn now_ms() -> u64 {
    SystemClock.now_ms()
}

/// A running command of which is read what it says; killed when dropped.
pub(crate) struct Running {
    child: Child,
    data: mpsc::Receiver<String>,
    talk: mpsc::Receiver<String>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let data = lines(child.stdout.take().unwrap());
        let talk = lines(child.stderr.take().unwrap());
        Self { child, data, talk }
    }

    /// Waits for the next line on standard output.
    pub(crate) fn line(&self) -> String {
        let line = self.data.recv_timeout(SOON);
        line.unwrap_or_else(|_| panic!("nothing on standard output; {:?}", self.rest()))
    }

    /// Waits until the next line on standard error, which must be `expected`.
    pub(crate) fn talks(&self, expected: &str) {
        assert_eq!(self.talk.recv_timeout(SOON).as_deref(), Ok(expected));
    }

    /// What is on standard error and was not taken.
    fn rest(&self) -> String {
        self.talk.try_iter().map(|line| line + "\n").collect()
    }

    /// Does what Ctrl-C does; answers how it ended, and what it said on standard error since.
    pub(crate) fn interrupt(mut self) -> (ExitStatus, String) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        let mut talk = String::new();
        loop {
            match self.talk.recv_timeout(SOON) {
                Ok(line) => talk += &(line + "\n"),
                // It has closed standard error, which is its end.
                Err(RecvTimeoutError::Disconnected) => return (self.child.wait().unwrap(), talk),
                Err(RecvTimeoutError::Timeout) => panic!("it did not end: {talk}"),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// The lines of a pipe, read as they come, so that whoever writes never waits.
fn lines(pipe: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (tell, told) = mpsc::channel();
    let read = move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            // Nobody listens to a command that is ended.
            let _nobody = tell.send(line);
        }
    };
    std::thread::Builder::new().spawn(read).unwrap();
    told
}

/// A running `campanile serve`; killed when dropped.
pub(crate) struct Server {
    child: Child,
    /// What it logged so far.
    log: Arc<Mutex<String>>,
    address: watch::Receiver<Option<String>>,
    observed_at: watch::Receiver<Option<String>>,
}

impl Server {
    /// Starts it. It logs as JSON, and is to listen on a free port.
    pub(crate) fn start(command: Command) -> Self {
        Self::start_with(command, "json")
    }

    /// Starts it with another form of the log.
    pub(crate) fn start_with(mut command: Command, log_format: &str) -> Self {
        command.args(["--log-format", log_format, "--listen", "127.0.0.1:0"]);
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let log = Arc::<Mutex<String>>::default();
        let (found, address) = watch::channel(None);
        let (observing, observed_at) = watch::channel(None);
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let kept = log.clone();
        let listen = move || {
            for line in lines.map_while(Result::ok) {
                kept.lock().unwrap().push_str(&format!("{line}\n"));
                if let Some(address) = address_in(&line, "serving") {
                    found.send_replace(Some(format!("http://{address}")));
                }
                if let Some(address) = address_in(&line, "observing") {
                    observing.send_replace(Some(address));
                }
            }
        };
        std::thread::Builder::new().spawn(listen).unwrap();
        Self { child, log, address, observed_at }
    }

    /// Waits until it listens; answers where.
    pub(crate) async fn address(&self) -> String {
        self.told(&self.address).await
    }

    /// Waits until it can be observed; answers where.
    pub(crate) async fn observed_at(&self) -> String {
        self.told(&self.observed_at).await
    }

    async fn told(&self, address: &watch::Receiver<Option<String>>) -> String {
        let mut address = address.clone();
        let listens = address.wait_for(Option::is_some);
        match tokio::time::timeout(SOON, listens).await {
            Ok(Ok(address)) => address.clone().unwrap(),
            _ => panic!("the server did not start: {}", self.log()),
        }
    }

    /// A client of it, once it listens.
    pub(crate) async fn client(&self) -> campanile_api::Client {
        campanile_api::Client::connect(&self.address().await).await.unwrap()
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// What it logged so far, once `text` is in it: a line may come later than what it tells.
    pub(crate) async fn log_with(&self, text: &str) -> String {
        let has_it = async {
            while !self.log().contains(text) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let found = tokio::time::timeout(SOON, has_it).await;
        found.unwrap_or_else(|_| panic!("no {text:?} in {}", self.log()));
        self.log()
    }

    /// Kills it as a power cut would, without a last word.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) async fn terminate(mut self) -> ExitStatus {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.ended().await
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let ended = ended(&mut self.child).await;
        ended.unwrap_or_else(|| panic!("the server did not end: {}", self.log()))
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Waits until a process has ended; `None` if it does not.
pub(crate) async fn ended(child: &mut Child) -> Option<ExitStatus> {
    let ended = async {
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(SOON, ended).await.ok()
}

/// The address that a line of a log tells with `message`, in either form.
pub(crate) fn address_in(line: &str, message: &str) -> Option<String> {
    if let Ok(event) = serde_json::from_str::<serde_json::Value>(line) {
        let fields = &event["fields"];
        return (fields["message"] == message).then(|| fields["address"].as_str().unwrap().into());
    }
    let (_, fields) = line.split_once(&format!(": {message} address="))?;
    fields.split_whitespace().next().map(str::to_owned)
}
