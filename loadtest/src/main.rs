//! Measures a deployment: load through the public API, simulated push services at the other end,
//! and a ledger between them in which everything published has to arrive, once.
//!
//! `loadtest run SCENARIO` starts the engine, unless it is to be another one, and the push services
//! as processes of their own; `loadtest compare A B` sets two
//! reports beside each other. Scenarios are files in `loadtest/scenarios`. A run in which a delivery is
//! lost fails; one that arrives again, as after an answer that was not heard, is counted.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it reads clocks, and its answer is what it prints"
)]

mod addresses;
mod arrival;
mod baseline;
mod clearing;
mod costs;
mod dismisser;
mod engine;
mod error;
mod figures;
mod h2load;
mod host;
mod html;
mod ledger;
mod metrics;
mod plan;
mod platforms;
mod plots;
mod process;
mod publisher;
mod rate;
mod registry;
mod report;
mod run;
mod samples;
mod scenario;
mod simulators;
mod target;
mod track;
mod trouble;
mod watchers;
mod wire;

use std::fs::File;
use std::io::BufReader;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::engine::{Running, Subject};
use crate::error::LoadError;
use crate::report::{Report, compare};
use crate::scenario::Scenario;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures a deployment through its public API
#[derive(Parser)]
#[command(name = "loadtest")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a scenario
    Run(Box<Wanted>),
    /// Compare two reports
    Compare {
        /// The report of before, as JSON
        before: PathBuf,
        /// The report of after
        after: PathBuf,
    },
    /// Be the push services of a run; it starts this itself, as a process of its own
    #[command(hide = true)]
    Simulate,
}

/// What is run against what, and what is written of it.
#[derive(Args)]
struct Wanted {
    /// The scenario's file
    scenario: PathBuf,
    /// The binary under load
    #[arg(long, default_value = "target/dist/campanile")]
    engine: PathBuf,
    /// A server that somebody starts instead, as a URL: what it must be configured with is written
    /// into `--directory`, and it is waited for
    #[arg(long, requires = "directory", conflicts_with = "engine")]
    server: Option<String>,
    /// Where to write that configuration
    #[arg(long)]
    directory: Option<PathBuf>,
    /// The address of this machine at which that server reaches the simulators
    #[arg(long, default_value = "127.0.0.1")]
    simulators: IpAddr,
    /// Where that server shows its metrics, as address and port
    #[arg(long)]
    metrics: Option<String>,
    /// Write the report here too, as JSON
    #[arg(long)]
    json: Option<PathBuf>,
    /// Write it here as a page with plots
    #[arg(long)]
    html: Option<PathBuf>,
}

fn main() -> ExitCode {
    match work(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("loadtest: {error}");
            ExitCode::FAILURE
        }
    }
}

fn work(command: Command) -> Result<(), LoadError> {
    match command {
        Command::Run(wanted) => measure(*wanted),
        Command::Compare { before, after } => {
            print!("{}", compare(&read(&before)?, &read(&after)?));
            Ok(())
        }
        Command::Simulate => simulators::obey(),
    }
}

fn measure(wanted: Wanted) -> Result<(), LoadError> {
    let Wanted { scenario: path, engine, server, directory, simulators, metrics, .. } = wanted;
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut scenario = Scenario::read(&path)?;
    let subject = match server.zip(directory) {
        None => Subject::Binary(engine),
        Some((address, directory)) => {
            // Simulators and their keys are new in each round, and nobody starts it again.
            scenario.repeats = 1;
            Subject::Running(Running { address, metrics, directory, simulators })
        }
    };
    // The engine has the other one.
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().build()?;
    let report = runtime.block_on(async {
        tokio::select! {
            report = run::run(&name, scenario, &subject) => report,
            stopped = stopped() => Err(stopped),
        }
    })?;
    println!("{}", report.table());
    if let Some(path) = wanted.json {
        serde_json::to_writer_pretty(File::create(path)?, &report)?;
    }
    if let Some(path) = wanted.html {
        std::fs::write(path, html::page(&report)?)?;
    }
    report.judge()
}

/// Waits until somebody wants an end. Then the run is dropped, and with it the processes it started.
async fn stopped() -> LoadError {
    let signals =
        signal(SignalKind::interrupt()).and_then(|it| Ok((it, signal(SignalKind::terminate())?)));
    let (mut interrupt, mut terminate) = match signals {
        Ok(signals) => signals,
        Err(error) => return error.into(),
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    LoadError::Stopped
}

fn read(path: &Path) -> Result<Report, LoadError> {
    Ok(serde_json::from_reader(BufReader::new(File::open(path)?))?)
}
