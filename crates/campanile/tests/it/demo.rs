//! The demo: its exit code, and what it looks like to people and to programs.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::process::{Running, campanile, data, run, talk};

const STEPS: [&str; 9] =
    ["start", "register", "ring", "retry", "unread", "dismiss", "timeline", "state-at", "totals"];

#[test]
fn once_tells_the_story_in_plain_text_when_piped() {
    let demo = run(["demo", "--once"]);
    assert!(demo.status.success(), "{} {}", data(&demo), talk(&demo));
    let told = data(&demo);
    assert!(!told.contains('\x1b'), "{told}");
    for expected in [
        "Alice's Mac rings",
        "Alice's Android rings",
        "Alice's iPad clears",
        "Alice's Android clears",
        "sync: accepted",
        "5 pushes accepted by Apple, 2 by Google, 0 rejected",
    ] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    assert_eq!(talk(&demo), "");
}

#[test]
fn every_step_is_an_object_for_programs() {
    let demo = run(["demo", "--once", "--output", "json"]);
    assert!(demo.status.success(), "{} {}", data(&demo), talk(&demo));
    let told = data(&demo);
    let steps: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<_> = steps.iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(names, STEPS);
    assert!(steps.iter().all(|step| step["ok"] == true));
    let rings = steps[2]["details"].as_array().unwrap();
    assert!(rings.iter().all(|ring| ring["after_ms"].as_f64().unwrap() > 0.0), "{rings:?}");
    for (step, what) in [(2, "Alice's Android rings"), (5, "Alice's Android clears")] {
        let details = steps[step]["details"].as_array().unwrap();
        assert!(details.iter().any(|it| it["what"] == what), "{details:?}");
    }
}

#[test]
fn a_port_that_is_taken_is_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let demo = run(["demo", "--once", "--port", &port]);
    assert_eq!(demo.status.code(), Some(78));
    assert!(talk(&demo).contains("another process listens there"), "{}", talk(&demo));
}

/// Where the binary is.
fn bin() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_campanile")).parent().unwrap()
}

/// Starts a demo in the directory of its binary, with its own directories in `temporary`; answers
/// it after its story, with the commands that it invites to try.
fn invited(temporary: &Path) -> (Running, Vec<String>) {
    let mut command = campanile();
    command.args(["demo", "--output", "json"]).current_dir(bin()).env("TMPDIR", temporary);
    let demo = Running::start(command);
    loop {
        let step: Value = serde_json::from_str(&demo.line()).unwrap();
        if step["step"] == "try" {
            let commands = step["details"].as_array().unwrap().iter();
            let commands = commands.map(|it| it["what"].as_str().unwrap().to_owned());
            return (demo, commands.collect());
        }
    }
}

#[test]
fn it_keeps_running_until_asked_to_stop_and_leaves_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let (demo, _) = invited(temporary.path());
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 1);
    let (status, talk) = demo.interrupt();
    assert_eq!((status.code(), talk.as_str()), (Some(0), ""));
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0);
}

/// In a shell that finds nothing but what the system has.
#[test]
fn what_it_invites_to_try_works_as_typed() {
    let temporary = tempfile::tempdir().unwrap();
    let (_demo, commands) = invited(temporary.path());
    let (first, rest) = commands.split_first().unwrap();
    assert!(first.starts_with("export CAMPANILE_SERVER=http://127.0.0.1:"), "{first}");
    let typed = |verb: &str| {
        let begin = format!("./campanile {verb} ");
        let line = rest.iter().find(|line| line.starts_with(&begin));
        let line = line.unwrap_or_else(|| panic!("{verb}: {rest:?}"));
        let mut shell = Command::new("/bin/sh");
        shell.env_clear().current_dir(bin()).args(["-c", &format!("{first}; exec {line}")]);
        shell
    };
    for verb in ["publish", "inbox", "timeline", "endpoint list"] {
        let done = typed(verb).output().unwrap();
        assert!(done.status.success(), "{verb}: {}", talk(&done));
        assert_ne!(data(&done), "", "{verb}");
    }
    let watch = Running::start(typed("watch"));
    // It tells what happens from when it is there on.
    watch.talks("watching; Ctrl-C ends it");
    assert!(typed("publish").output().unwrap().status.success());
    assert!(watch.line().ends_with("Supper is ready"));
    let (status, talk) = watch.interrupt();
    assert!(status.success() && talk.starts_with("to resume: --cursor "), "{talk}");
    let (others, ours): (Vec<_>, Vec<_>) =
        rest.iter().partition(|line| line.starts_with("grpcurl "));
    assert_eq!((others.len(), ours.len()), (1, 5), "all of them are tested: {rest:?}");
}
