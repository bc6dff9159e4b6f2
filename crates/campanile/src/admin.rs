//! What an operator asks of a running server: over a socket in its data directory.
//!
//! Callers of the API are not authenticated, and who may publish must not be able to replay. Who
//! may open the socket is who may read the data directory, and the system sees to that.
//!
//! A connection is one question, a line of JSON, and answers of a line each, until [`Answer::Ended`]
//! or [`Answer::Failed`]. Whoever hangs up has what is going on stopped.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use campanile_engine::replayer::Watcher;
use campanile_engine::tasks::{Shutdown, Task, sleep, spawn};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Mutex, oneshot};

use crate::compose::Parts;
use crate::exit::{Failure, Kind};
use crate::replay::{self, Ended, TOLD_EVERY, Told, Wanted};
use crate::thread;

/// The name of the socket in the data directory.
const SOCKET: &str = "admin.sock";
/// The longest question, in bytes.
const LONGEST: u64 = 4096;

/// A question.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Question {
    Replay(Wanted),
}

/// An answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Progress(Told),
    Ended(Ended),
    Failed { code: u8, message: String },
}

/// Answers questions in the background, one at a time. Without a socket the server serves all the
/// same.
pub(crate) fn serve(parts: &Arc<Parts>, directory: &Path) -> Option<Task> {
    let path = directory.join(SOCKET);
    let bound = bind(&path);
    let listener = match bound {
        Ok(listener) => listener,
        Err(error) => {
            tracing::warn!(socket = %path.display(), %error, "no administration of this process");
            return None;
        }
    };
    let (parts, one) = (parts.clone(), Arc::new(Mutex::new(())));
    Some(spawn(async move {
        let mut answering: Vec<Task> = Vec::new();
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    answering.retain(|task| !task.is_finished());
                    answering.push(spawn(answer(stream, parts.clone(), one.clone())));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection for administration");
                    sleep(TOLD_EVERY).await;
                }
            }
        }
    }))
}

/// Whatever is there is of a process that died: this one has the directory.
fn bind(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn answer(stream: UnixStream, parts: Arc<Parts>, one: Arc<Mutex<()>>) {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let mut line = String::new();
    let read = (&mut reader).take(LONGEST).read_line(&mut line).await;
    let last = match read.map(|_| serde_json::from_str(&line)) {
        Ok(Ok(Question::Replay(wanted))) => match one.try_lock() {
            Ok(_alone) => replay(&mut reader, &mut writer, parts, wanted).await,
            Err(_) => Err(Failure::new(Kind::Temporary, "replay: another one is running")),
        },
        _ => Err(Failure::new(Kind::Usage, "the question makes no sense to this version")),
    };
    let last = match last {
        Ok(ended) => Answer::Ended(ended),
        Err(Failure { kind, message }) => Answer::Failed { code: kind.code(), message },
    };
    // Whoever asked may be gone.
    let _gone = tell(&mut writer, &last).await;
}

/// Runs a replay on a thread of its own, and tells how far it is.
async fn replay(
    reader: &mut BufReader<OwnedReadHalf>,
    writer: &mut OwnedWriteHalf,
    parts: Arc<Parts>,
    wanted: Wanted,
) -> Result<Ended, Failure> {
    tracing::info!(?wanted, "replaying");
    let (stop, stopping) = Shutdown::new();
    let watcher = Watcher::default();
    let watched = watcher.subscribe();
    let (tell_end, mut end) = oneshot::channel();
    let role = move || async move { replay::here(&parts, wanted, watcher, stopping).await };
    let started = thread::start("replay", role, move |ended| drop(tell_end.send(ended)));
    let running = started.map_err(|error| Failure::new(Kind::Unavailable, error))?;
    let mut byte = [0];
    let mut is_heard = true;
    let ended = loop {
        tokio::select! {
            ended = &mut end => break ended,
            _hung_up = reader.read(&mut byte), if is_heard => is_heard = false,
            () = sleep(TOLD_EVERY), if is_heard => {
                let progress = Answer::Progress(Told::from(*watched.borrow()));
                is_heard = tell(writer, &progress).await.is_ok();
            }
        }
        if !is_heard {
            stop.begin();
        }
    };
    running.join();
    let panicked = || Failure::new(Kind::Bug, "replay: it panicked");
    let ended = ended.ok().flatten().ok_or_else(panicked)?;
    match &ended {
        Ok(ended) => {
            let (switched, drifted) = (ended.switched, ended.drift.len());
            tracing::info!(ended.records, switched, drifted, "replayed");
        }
        Err(failure) => tracing::warn!(reason = failure.message, "replay ended"),
    }
    ended
}

async fn tell(writer: &mut OwnedWriteHalf, answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    writer.write_all(&line).await
}

/// Asks the server that runs on `directory` for a replay, if one runs; `progress` hears how far it
/// is.
///
/// # Errors
/// [`Failure`], as the server tells it.
pub(crate) async fn ask(
    directory: &Path,
    wanted: Wanted,
    mut progress: impl FnMut(&Told),
) -> Result<Option<Ended>, Failure> {
    // One that is refused is of a process that died.
    let Ok(stream) = UnixStream::connect(directory.join(SOCKET)).await else { return Ok(None) };
    let gone = |error: io::Error| {
        Failure::new(Kind::Unavailable, format_args!("the server ended meanwhile: {error}"))
    };
    let (reader, mut writer) = stream.into_split();
    let mut line = serde_json::to_vec(&Question::Replay(wanted)).map_err(io::Error::from);
    line.as_mut()
        .map(|line| line.push(b'\n'))
        .map_err(|_| Failure::new(Kind::Bug, "no question"))?;
    writer.write_all(&line.map_err(gone)?).await.map_err(gone)?;
    let mut lines = BufReader::new(reader).lines();
    while let Some(line) = lines.next_line().await.map_err(gone)? {
        match serde_json::from_str(&line) {
            Ok(Answer::Progress(told)) => progress(&told),
            Ok(Answer::Ended(ended)) => return Ok(Some(ended)),
            Ok(Answer::Failed { code, message }) => {
                return Err(Failure::new(Kind::of_code(code), message));
            }
            Err(_) => return Err(Failure::new(Kind::Bug, "an answer that makes no sense")),
        }
    }
    Err(Failure::new(Kind::Unavailable, "the server ended meanwhile"))
}
