//! The demo: its exit code, and what it looks like to people and to programs.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::process::{campanile, data, run, talk};

const STEPS: [&str; 9] =
    ["start", "register", "ring", "retry", "unread", "dismiss", "timeline", "state-at", "totals"];

#[test]
fn once_tells_the_story_in_plain_text_when_piped() {
    let demo = run(["demo", "--once"]);
    assert!(demo.status.success(), "{} {}", data(&demo), talk(&demo));
    let told = data(&demo);
    assert!(!told.contains('\x1b'), "{told}");
    for expected in ["Alice's Mac rings", "Alice's iPad clears", "sync: accepted", "0 rejected"] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    assert_eq!(talk(&demo), "");
}

#[test]
fn every_step_is_an_object_for_programs() {
    let demo = run(["demo", "--once", "--output", "json"]);
    assert!(demo.status.success(), "{} {}", data(&demo), talk(&demo));
    let told = data(&demo);
    let steps: Vec<serde_json::Value> =
        told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<_> = steps.iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(names, STEPS);
    assert!(steps.iter().all(|step| step["ok"] == true));
    let rings = steps[2]["details"].as_array().unwrap();
    assert!(rings.iter().all(|ring| ring["after_ms"].as_f64().unwrap() > 0.0), "{rings:?}");
}

#[test]
fn a_port_that_is_taken_is_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let demo = run(["demo", "--once", "--port", &port]);
    assert_eq!(demo.status.code(), Some(78));
    assert!(talk(&demo).contains("another process listens there"), "{}", talk(&demo));
}

#[test]
fn it_keeps_running_until_asked_to_stop_and_leaves_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let mut command = campanile();
    command.args(["demo", "--output", "json"]).env("TMPDIR", temporary.path());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let invited = told.find(|line| line.contains(r#""step":"try""#)).expect("it invites");
    assert!(invited.contains("campanile timeline --app demo --user alice "), "{invited}");
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 1);

    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let done = child.wait_with_output().unwrap();
    assert_eq!((done.status.code(), talk(&done).as_str()), (Some(0), ""));
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0);
}
