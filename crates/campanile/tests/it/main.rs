//! The binary from outside: started as a process, called over sockets, killed for real. Apple,
//! Google and the devices are simulated in the test; everything else is as in production.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "test code"
)]

mod calls;
mod chaos;
mod command_line;
mod crash;
mod deadletter;
mod demo;
mod discreet;
mod fallback;
mod hands;
mod lifecycle;
mod log;
#[cfg(target_os = "linux")]
mod memory;
mod mistakes;
mod observe;
mod platforms;
mod process;
mod replay;
mod retention;
mod ring;
mod silence;
mod styles;
mod suppress;
mod sweeps;
mod tower;
mod traces;
mod trouble;
