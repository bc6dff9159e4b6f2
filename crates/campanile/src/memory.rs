//! How the process asks the system for memory, and gives it back.

#[cfg(unix)]
use std::process::Command;

use crate::environment::Environment;
#[cfg(unix)]
use crate::environment::KEEPS_FREED;

/// Asks for memory in small pages only; first thing, before much is used.
///
/// The allocator lets the system give huge pages (2 MiB) too. What this program holds is small,
/// comes and goes on several threads, and lies far apart: huge pages are filled in part, and cleared
/// whole. Without them fan-out and ingest took a sixth less memory and a twelfth less CPU time, and a
/// connection that does nothing 30 KiB in place of 48.
pub(crate) fn in_small_pages() {
    // Where it is refused, as by a sandbox, the process takes more memory, and nothing else.
    #[cfg(target_os = "linux")]
    let _refused = rustix::thread::disable_transparent_huge_pages(true);
}

/// Has the allocator give back what is free at once, and not keep it for a second, unless the
/// environment says for how long. Before anything is begun: if that is new to the process, this does
/// not return, and the program begins again.
///
/// A fan-out frees and asks for so much in a second that keeping it was a fifth of its memory, and
/// giving it back costs no more CPU time than keeping it. The allocator reads the delay before `main`
/// begins, and from the environment only; so the program takes its own place, as the same process,
/// with the same arguments and open files.
pub(crate) fn free_at_once(environment: &Environment) {
    #[cfg(unix)]
    if !environment.keeps_freed {
        begin_again();
    }
    #[cfg(not(unix))]
    let _nothing_takes_its_own_place = environment;
}

#[cfg(unix)]
fn begin_again() {
    use std::os::unix::process::CommandExt;

    // By its path: of `/proc/self/exe`, which is there also when the file is not any more, a process
    // would get the name `exe`.
    let Ok(program) = std::env::current_exe() else { return };
    let mut again = Command::new(program);
    let mut args = std::env::args_os();
    if let Some(name) = args.next() {
        again.arg0(name);
    }
    // Where it is refused, as by a sandbox, the process takes more memory, and nothing else.
    let _refused = again.args(args).env(KEEPS_FREED, "0").exec();
}
