//! The two ways to speak to whoever ran the command: results to stdout, talk to stderr.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "these two functions are where xtask prints"
)]

/// Prints one line of the result, for people and for pipes.
pub(crate) fn say(line: &str) {
    println!("{line}");
}

/// Prints one line about the run itself: progress, usage, trouble.
pub(crate) fn complain(line: &str) {
    eprintln!("{line}");
}
