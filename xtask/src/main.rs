//! The project's own checks and tools: `cargo xtask <command>`.

use std::error::Error;
use std::process::ExitCode;

mod sim;
mod terminal;
mod tidy;

/// A command gets the arguments after its name. An `Err` is a command which could not do its work;
/// one that did it and disliked what it found returns a failing code.
type Run = fn(&[String]) -> Result<ExitCode, Box<dyn Error>>;

/// Every command: name, purpose, function. A new command is a module and one line here.
const COMMANDS: &[(&str, &str, Run)] = &[
    ("sim", "run the real roles in virtual time under seeded faults", sim::run),
    ("tidy", "check the rules of this codebase that the compiler cannot", tidy::run),
];

/// `EX_USAGE` of sysexits.h: the caller asked for something that does not exist.
const EXIT_USAGE: u8 = 64;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = arguments.split_first() else {
        return usage("no command given");
    };
    let Some((_, _, run)) = COMMANDS.iter().find(|(known, _, _)| known == name) else {
        return usage(&format!("unknown command `{name}`"));
    };
    run(rest).unwrap_or_else(|error| {
        terminal::complain(&format!("xtask {name}: {error}"));
        ExitCode::FAILURE
    })
}

fn usage(problem: &str) -> ExitCode {
    terminal::complain(&format!("xtask: {problem}\n\nusage: cargo xtask <command>\n"));
    for (name, purpose, _) in COMMANDS {
        terminal::complain(&format!("  {name:<8} {purpose}"));
    }
    ExitCode::from(EXIT_USAGE)
}
