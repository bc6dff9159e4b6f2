//! What a server tells its allocator, which learns it only from how the program was started.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::process::{Server, campanile, ended};
use crate::tower::Tower;

const DELAY: &str = "MIMALLOC_PURGE_DELAY";

/// Every variable that a process was started with.
fn environment(id: u32) -> Vec<String> {
    words(id, "environ")
}

/// What the system keeps of how a process was started.
fn words(id: u32, which: &str) -> Vec<String> {
    let text = std::fs::read_to_string(format!("/proc/{id}/{which}")).unwrap();
    text.split_terminator('\0').map(str::to_owned).collect()
}

#[tokio::test]
async fn a_server_keeps_no_memory_that_is_free_and_stays_the_process_it_was() {
    let tower = Tower::new();
    let started = tower.command(&["serve"]);
    let program = started.get_program().to_str().unwrap().to_owned();
    let server = Server::start(started);
    server.address().await;
    assert_eq!(environment(server.id()), [format!("{DELAY}=0")]);
    let name = std::fs::read_to_string(format!("/proc/{}/comm", server.id())).unwrap();
    assert_eq!(name, "campanile\n");
    let arguments = words(server.id(), "cmdline");
    assert_eq!((&arguments[0], arguments[1].as_str()), (&program, "serve"));
    assert_eq!(arguments.last().unwrap(), "127.0.0.1:0");
    assert!(server.terminate().await.success());
}

#[tokio::test]
async fn who_runs_a_server_may_say_how_long_it_keeps_memory() {
    let tower = Tower::new();
    let mut command = tower.command(&["serve"]);
    command.env(DELAY, "1000");
    let server = Server::start(command);
    server.address().await;
    assert_eq!(environment(server.id()), [format!("{DELAY}=1000")]);
    assert!(server.terminate().await.success());
}

/// The file of the program may be gone as soon as it runs, and so may who reads its log.
#[tokio::test]
async fn a_program_that_cannot_begin_again_serves_as_it_is() {
    let tower = Tower::new();
    let own = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let program = own.path().join("campanile");
    std::fs::hard_link(campanile().get_program(), &program).unwrap();
    let mut command = Command::new("/bin/sh");
    let gone = "exec 3<\"$0\" && rm \"$0\" && exec /proc/self/fd/3 \"$@\"";
    command.args(["-c", gone]).arg(&program);
    command.args(tower.command(&["serve", "--listen", "127.0.0.1:0"]).get_args());
    command.env_clear().env("PATH", "/usr/bin:/bin");
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(log.any(|line| line.contains("serving address=")), "it did not serve");
    assert!(!environment(child.id()).iter().any(|variable| variable.starts_with(DELAY)));
    // From here on its log goes nowhere; it says there that it stops.
    drop(log);
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert!(ended(&mut child).await.expect("it ends").success());
}
