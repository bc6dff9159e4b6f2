//! What survives a process that is killed, and a power cut.
//!
//! For the power cut, the store lives on ext4 in a file in memory. The process is frozen, the file
//! is copied, and the store is opened on the copy: it has what ext4 had written to its disk by
//! then, and nothing that was only in the page cache. Needs root, loop devices and ext4.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    missing_docs,
    reason = "test code"
)]

mod child;
mod mounted;
mod place;

use std::fs::File;
use std::path::Path;
use std::process::Command;

use child::{Said, Talking};
use mounted::{Mounted, run, skip};
use tempfile::TempDir;
use tokio::sync::Mutex;

/// Large enough for the store, and sparse.
const IMAGE_BYTES: u64 = 256 << 20;

/// A process that is being started has for a moment the locks of its parent: no test starts one
/// while another opens a store.
static ALONE: Mutex<()> = Mutex::const_new(());

#[test]
#[ignore = "the child of the tests below"]
fn child_process() {
    child::live();
}

#[tokio::test]
async fn a_killed_process_loses_nothing() {
    let _alone = ALONE.lock().await;
    let dir = TempDir::new().unwrap();
    let mut said = Said::default();
    for round in 0..5 {
        let mut talking = Talking::start(dir.path());
        talking.wait_for(|heard| heard.appended.len() > 400 && heard.folded > said.folded);
        let heard = talking.kill();
        assert!(heard.committed > 0, "round {round} committed nothing");
        said.appended.extend(heard.appended);
        (said.folded, said.committed) = (heard.folded, heard.committed);
        let found = child::check(dir.path(), &said).await;
        assert!(found.folded >= said.folded, "the fold lost {}", said.folded - found.folded);
        assert!(found.committed >= said.committed, "progress was lost");
    }
}

#[tokio::test]
async fn a_power_cut_loses_nothing_that_was_acknowledged() {
    let _alone = ALONE.lock().await;
    let memory = match Path::new("/dev/shm").is_dir() {
        true => TempDir::new_in("/dev/shm").unwrap(),
        false => TempDir::new().unwrap(),
    };
    for round in 0..6 {
        let image = memory.path().join("image");
        let mounted = match ext4(&image) {
            Ok(mounted) => mounted,
            Err(reason) => return skip(&reason),
        };
        let mut talking = Talking::start(&mounted.path());
        let enough = 300 * (round + 1);
        talking.wait_for(|heard| heard.appended.len() > enough && heard.folded > 0);
        talking.freeze();
        let copy = memory.path().join("copy");
        run(Command::new("cp").arg("--sparse=always").arg(&image).arg(&copy)).unwrap();
        let said = talking.kill();
        drop(mounted);
        let after = Mounted::new(&copy, &["-o", "loop"]).unwrap();
        let found = child::check(&after.path(), &said).await;
        assert!(found.folded <= said.folded + 512, "a fold from nowhere");
    }
}

fn ext4(image: &Path) -> Result<Mounted, String> {
    let file = File::create(image).map_err(|error| error.to_string())?;
    file.set_len(IMAGE_BYTES).map_err(|error| error.to_string())?;
    run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(image))?;
    Mounted::new(image, &["-o", "loop"])
}
