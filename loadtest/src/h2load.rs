//! What a sender that does nothing but send achieves: `h2load` of nghttp2 against the same
//! simulator, with its checks on, the same device tokens, headers and body.

use std::ffi::OsStr;
use std::fmt::Write;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::addresses::{TOPIC, apns_token, devices};
use crate::arrival::MARK;
use crate::error::LoadError;
use crate::plan::Plan;
use crate::platforms::Platforms;
use crate::scenario::Scenario;
use crate::wire::Tally;

/// Connections, as many as the engine opens to Apple by default.
const CONNECTIONS: &str = "4";
/// Streams on each, as many as the simulator allows.
const STREAMS: &str = "1000";
const WARM_UP: &str = "1s";
const SPAN: &str = "4s";
/// After so long it has hung.
const LIMIT: Duration = Duration::from_secs(60);
/// Where Apple's devices are reached. The name is not looked up.
const HOST: &str = "https://api.push.apple.com/3/device/";
/// Set to 1, a baseline that cannot be had fails the run.
const REQUIRED: &str = "CAMPANILE_REQUIRE_SERVICES";

/// What it came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Baseline {
    /// Pushes a second that the simulator accepted.
    pub(crate) rate: f64,
    /// CPU seconds of the simulator for 100,000 of them.
    pub(crate) simulator_cpu: f64,
}

/// Sends as fast as it goes to every Apple device of `scenario`. `None` if there is none, or no
/// `h2load`, which is said.
///
/// # Errors
/// [`LoadError::Baseline`] if a push is refused, or if it has to be there and is not.
pub(crate) async fn measure(
    platforms: &mut Platforms,
    scenario: &Scenario,
) -> Result<Option<Baseline>, LoadError> {
    let before = platforms.tally().await?;
    let Some(sample) = &before.sample else { return Ok(None) };
    if Command::new("h2load").arg("--version").stdout(Stdio::null()).status().is_err() {
        let why = "no baseline: h2load is not there (Debian: apt-get install nghttp2-client)";
        return match std::env::var_os(REQUIRED).as_deref() == Some(OsStr::new("1")) {
            true => Err(LoadError::Baseline(why.to_owned())),
            false => {
                eprintln!("loadtest: {why}");
                Ok(None)
            }
        };
    }
    let directory = tempfile::tempdir()?;
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("uris"), uris(scenario))?;
    // Without its mark it is no notification of the load.
    std::fs::write(path("body"), sample.replace(MARK, &MARK.to_uppercase()))?;
    let cpu = platforms.process().cpu();
    let mut command = command(&before.bearer, platforms.apns_address());
    command.arg("-i").arg(path("uris")).arg("-d").arg(path("body"));
    let said = run(command, &path("said")).await?;
    let after = platforms.tally().await?;
    let cpu = platforms.process().cpu() - cpu;
    read(&said, &before, &after, cpu)
        .map(Some)
        .ok_or_else(|| LoadError::Baseline(format!("{:?}: {said}", after.rejected)))
}

/// Every Apple device once.
fn uris(scenario: &Scenario) -> String {
    let plan = Plan::of(scenario);
    let apples =
        devices(scenario, &plan).filter(|(user, endpoint)| !scenario.is_fcm(*user, *endpoint));
    apples.fold(String::new(), |mut uris, (user, endpoint)| {
        // Writing into a text does not fail.
        let _written = writeln!(uris, "{HOST}{}", apns_token(user, endpoint));
        uris
    })
}

/// The headers are those of the engine's pushes.
fn command(bearer: &str, address: &str) -> Command {
    let mut command = Command::new("h2load");
    command.args(["-t", "1", "-c", CONNECTIONS, "-m", STREAMS, "-D", SPAN]);
    command.args(["--warm-up-time", WARM_UP, "--connect-to", address]);
    for header in [
        format!("authorization: bearer {bearer}"),
        format!("apns-topic: {TOPIC}"),
        "apns-push-type: alert".to_owned(),
        "apns-priority: 10".to_owned(),
        "apns-expiration: 1900000000".to_owned(),
        "apns-collapse-id: 7c1dd16c4cfb0d79bd1ff5a4f0f6b1a2".to_owned(),
        "apns-id: 7c1dd16c-4cfb-4d79-bd1f-f5a4f0f6b1a2".to_owned(),
    ] {
        command.arg("-H").arg(header);
    }
    command
}

/// Runs it and answers what it says.
async fn run(mut command: Command, said: &Path) -> Result<String, LoadError> {
    let out = File::create(said)?;
    command.stdin(Stdio::null()).stderr(out.try_clone()?).stdout(out);
    let mut process = command.spawn()?;
    let limit = Instant::now() + LIMIT;
    let status = loop {
        match process.try_wait()? {
            Some(status) => break Some(status),
            None if Instant::now() > limit => {
                process.kill()?;
                process.wait()?;
                break None;
            }
            None => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    };
    let said = std::fs::read_to_string(said)?;
    match status {
        Some(status) if status.success() => Ok(said),
        Some(status) => Err(LoadError::Baseline(format!("h2load: {status}: {said}"))),
        None => Err(LoadError::Baseline(format!("h2load: not done within {LIMIT:?}"))),
    }
}

/// The rate that it tells, if nothing was refused.
fn read(said: &str, before: &Tally, after: &Tally, cpu: f64) -> Option<Baseline> {
    let told = said.lines().find_map(|line| line.strip_prefix("finished in "))?;
    let rate = told.split(", ").find_map(|part| part.strip_suffix(" req/s"))?.parse().ok()?;
    let accepted = after.accepted.checked_sub(before.accepted).filter(|count| *count > 0)?;
    let is_clean = before.rejected == after.rejected && rate > 0.0;
    is_clean.then_some(Baseline { rate, simulator_cpu: cpu * 1e5 / accepted as f64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "starting benchmark...\n\nfinished in 5.01s, 61234.50 req/s, 1.2MB/s\n";

    fn tally(accepted: u64, rejected: u64) -> Tally {
        let reasons = (rejected > 0).then(|| ("BadTopic".to_owned(), rejected));
        Tally { accepted, rejected: reasons.into_iter().collect(), ..Tally::default() }
    }

    #[test]
    fn a_baseline_counts_only_if_everything_was_taken() {
        let good = read(SAID, &tally(1000, 0), &tally(201_000, 0), 3.0);
        assert_eq!(good, Some(Baseline { rate: 61234.5, simulator_cpu: 1.5 }));
        assert_eq!(read(SAID, &tally(1000, 0), &tally(201_000, 1), 3.0), None);
        assert_eq!(read(SAID, &tally(1000, 0), &tally(1000, 0), 3.0), None);
        assert_eq!(read("finished in 5.01s, 0.00 req/s", &tally(0, 0), &tally(9, 0), 3.0), None);
        assert_eq!(read("", &tally(0, 0), &tally(9, 0), 3.0), None);
    }
}
