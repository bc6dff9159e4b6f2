//! Mistakes on the command line and in configurations: exit code, one line, quickly.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use crate::process::{campanile, data, now_ms, run, talk};

#[test]
fn mistakes_on_the_command_line_are_usage() {
    let app = ["--app", "shop", "--user", "a"];
    let table: [(&[&str], &str); 16] = [
        (&[], "Usage"),
        (&["sing"], "sing"),
        (&["serve", "--loud"], "--loud"),
        (&["serve", "--listen"], "--listen"),
        (&["publish", "--user", "a", "--title", "t"], "--app"),
        (&["publish", "--app", "shop", "--title", "t"], "--user"),
        (&["publish", app[0], app[1], app[2], app[3]], "--title"),
        (&["inbox", app[0], app[1], app[2], app[3], "--limit", "0"], "--limit"),
        (&["inbox", app[0], app[1], app[2], app[3], "--limit", "many"], "--limit"),
        (&["inbox", app[0], app[1], app[2], app[3], "--unsid", "x"], "--unsid"),
        (&["publish", app[0], app[1], app[2], app[3], "--title", "t", "--ttl", "soon"], "--ttl"),
        (&["state-at", app[0], app[1], app[2], app[3], "x", "--at", "noon"], "--at"),
        (&["demo", "--port", "70000"], "--port"),
        (&["deadletter", "redrive", "--app", "shop", "--dry-run"], "--from"),
        (&["deadletter", "list", "--app", "shop", "--platform", "pigeon"], "--platform"),
        (&["deadletter", "list", "--app", "shop", "--from", "yesterday"], "--from"),
    ];
    for (args, word) in table {
        let done = run(args);
        assert_eq!(done.status.code(), Some(2), "{args:?}: {}", talk(&done));
        assert!(talk(&done).contains(word), "{args:?}: {}", talk(&done));
        assert!(!talk(&done).contains("panicked"), "{}", talk(&done));
        assert_eq!(data(&done), "");
    }
}

#[test]
fn an_argument_that_is_not_text_is_usage() {
    let bad = OsStr::from_bytes(b"\xff\xfe");
    for args in [
        vec![OsString::from("publish"), "--app".into(), bad.into()],
        vec![OsString::from("timeline"), bad.into()],
        vec![bad.to_owned()],
    ] {
        let done = run(args);
        assert_eq!(done.status.code(), Some(2), "{}", talk(&done));
        assert!(!talk(&done).contains("panicked"), "{}", talk(&done));
    }
}

#[test]
fn help_and_version_are_no_failure() {
    for args in [vec!["--help"], vec!["--version"], vec!["publish", "--help"]] {
        let done = run(&args);
        assert!(done.status.success(), "{args:?}");
        assert!(data(&done).contains("campanile"), "{args:?}");
    }
}

/// Runs `config check` on a file; it must refuse with 78, in one line, within a second.
#[track_caller]
fn refused(path: &Path, expected: &str) {
    let begun = now_ms();
    let done = campanile().args(["config", "check", "--config"]).arg(path).output().unwrap();
    let took = now_ms() - begun;
    let told = talk(&done);
    assert_eq!(done.status.code(), Some(78), "{path:?}: {told}");
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(told.starts_with(&format!("campanile: {}", path.display())), "{told}");
    assert!(told.contains(expected), "{told}");
    assert!(took < 1000, "{path:?} took {took} ms");
}

#[test]
fn whatever_is_named_as_a_configuration_is_refused_in_a_second() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    refused(&path("none.toml"), "does not exist");
    refused(directory.path(), "is not a file");
    fs::write(path("binary"), [0xff, 0xfe, 0, 1]).unwrap();
    refused(&path("binary"), "is not UTF-8 text");
    File::create(path("huge")).unwrap().set_len(100 << 20).unwrap();
    refused(&path("huge"), "is longer than");
    symlink(path("loop"), path("loop")).unwrap();
    refused(&path("loop"), "cannot be read");
    assert!(Command::new("mkfifo").arg(path("fifo")).status().unwrap().success());
    refused(&path("fifo"), "is not a file");
    refused(Path::new("/dev/zero"), "is not a file");
    let nested = format!("x = {}", "[".repeat(100_000));
    fs::write(path("nested"), nested).unwrap();
    refused(&path("nested"), "");
}

#[test]
fn mistakes_in_a_file_name_line_and_key_and_never_a_value() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("c.toml");
    for (text, expected) in [
        ("[serve]\nlistn = \"hunter2\"", "c.toml:2: serve.listn: unknown field `listn`"),
        ("[serve]\nlisten = \"hunter2\"", "c.toml:2: serve.listen: must be an IP address"),
        ("[log]\nlevel = 1\nlevel = 2", "c.toml:3: log.level: duplicate key"),
        ("[store]\npartitions = \"hunter2\"", "c.toml:2: store.partitions: must be a whole"),
        ("[serve]\nlisten = \"0.0.0.0:8640\"", "c.toml:2: serve.listen: callers are not"),
        ("[[apps]]\nid = \"a\"\n[[apps]]\nid = \"a\"", "c.toml:4: apps.id: there is an app"),
    ] {
        fs::write(&path, text).unwrap();
        refused(&path, expected);
        let done = campanile().args(["serve", "--config"]).arg(&path).output().unwrap();
        assert_eq!(done.status.code(), Some(78), "serve refuses the same");
        assert!(!talk(&done).contains("hunter2"), "{}", talk(&done));
    }
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (path, key) = (directory.path().join("c.toml"), directory.path().join("key.p8"));
    fs::write(&key, "hunter2").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let text = "[[apps]]\nid = \"shop\"\n[[apps.apns]]\ntopic = \"org.example.shop\"\n\
                team_id = \"TEAM000001\"\nkey_id = \"KEY0000001\"\nkey_file = \"key.p8\"\n";
    fs::write(&path, text).unwrap();
    refused(&path, "c.toml:7: apps.apns.key_file:");
    refused(&path, "has mode 0644; `chmod 600` it");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    refused(&path, "holds no P-256 private key");
}

#[test]
fn mistakes_in_the_environment_name_the_variable() {
    for (variable, value) in [
        ("CAMPANILE__SERVE__LISTEN", "everywhere"),
        ("CAMPANILE__SERVE__LISTN", "127.0.0.1:1"),
        ("CAMPANILE__STORE__PARTITIONS", "0"),
    ] {
        let done = campanile().args(["config", "check"]).env(variable, value).output().unwrap();
        assert_eq!(done.status.code(), Some(78));
        let expected = format!("campanile: {variable}: ");
        assert!(talk(&done).starts_with(&expected), "{}", talk(&done));
    }
}
