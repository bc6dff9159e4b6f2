//! Campanile: one tower, every bell.
//!
//! The binary. It alone knows the adapters and the engine together:
//!
//! - [`cli`]: the command line; [`command`]: what each command does.
//! - [`config`]: flags, environment and file, checked.
//! - [`compose`]: adapters and roles put together; [`server`]: run, and stopped, as one process.
//! - [`observe`]: metrics, and whether the process lives and works.
//! - [`admin`]: what an operator asks of a running server; [`replay`]: the one thing there is.
//! - [`demo`]: the story of one notification, told while it happens.
//! - [`exit`]: how a command ends; [`memory`]: how the process takes memory.

mod admin;
mod cli;
mod command;
mod compose;
mod config;
mod demo;
mod environment;
mod exit;
mod group;
mod logging;
mod memory;
mod observe;
mod output;
mod replay;
mod role;
mod root;
mod server;
mod signal;
mod system;
mod thread;

use std::process::ExitCode;

/// Many small, short-lived allocations on several threads are what this program does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    memory::in_small_pages();
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::complain(&failure.message);
            failure.exit()
        }
    }
}
