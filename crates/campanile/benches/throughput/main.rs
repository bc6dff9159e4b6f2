//! How much one process delivers: the real binary, over real sockets, against the simulator.
//!
//! `just bench` runs it. Engine and generator are two processes on one machine, the simulator is a
//! thread of the generator; figures of one run compare, figures of two machines do not. Every
//! figure is the median of [`ROUNDS`] rounds, and stands beside a baseline of the same run:
//!
//! - durable ingest over gRPC streams, beside a raw write and sync of as many bytes in batches of
//!   the same size;
//! - fan-out to five endpoints per user, receipts written, beside the push client alone against
//!   the same simulator;
//! - the same with 50 ms of latency at the platform;
//! - CPU and memory of the engine when nothing happens.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark reads clocks, stops at the first surprise and prints"
)]

mod baseline;
mod engine;
mod load;
mod tower;

use std::time::{Duration, Instant};

use campanile_simulate::apns::{Fault, When};

use self::engine::Engine;
use self::tower::Tower;

/// How often each figure is taken.
const ROUNDS: usize = 3;
/// Users who have endpoints, five each.
const USERS: usize = 400;
/// Endpoints of a user.
const ENDPOINTS: usize = 5;
/// Notifications of one ingest round.
const INGEST: usize = 400_000;
/// Notifications of one fan-out round.
const FANOUT: usize = 40_000;

fn main() {
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(run());
}

async fn run() {
    let tower = Tower::start();
    let engine = Engine::start(&tower).await;
    let client = engine.client().await;
    load::register(&client, &tower, USERS, ENDPOINTS).await;

    let fan_out = fan_out(&tower, &client).await;
    let alone = rounds(|| baseline::push_client(&tower, FANOUT * ENDPOINTS)).await;
    let latency = tower.simulator.inject(Fault::delay(Duration::from_millis(50), When::Always));
    let slow_fan_out = self::fan_out(&tower, &client).await;
    tower.simulator.lift(latency);

    let raw = baseline::raw_append(INGEST);
    let ingest = rounds(|| load::publish(&client, "stranger", 100_000, INGEST)).await;
    engine.settled().await;
    let (idle_cpu, rss) = engine.idle(Duration::from_secs(5)).await;

    println!("{:<44} {:>12} {:>8}  of", "", "per second", "ratio");
    line("durable ingest, notifications", ingest, Some((raw, "raw write and sync")));
    line("fan-out, acknowledged pushes", fan_out, Some((alone, "push client alone")));
    line("fan-out at 50 ms latency", slow_fan_out, Some((fan_out, "fan-out without")));
    line("push client alone", alone, None);
    line("raw write and sync, same bytes and batches", raw, None);
    println!("idle engine: {:.2} % CPU, {rss} MiB", idle_cpu * 100.0);
}

/// Acknowledged pushes per second, from the first publish to the last acknowledgement.
async fn fan_out(tower: &Tower, client: &campanile_api::Client) -> f64 {
    rounds(async || {
        let expected = tower.accepted() + (FANOUT * ENDPOINTS) as u64;
        let started = Instant::now();
        load::publish(client, "user", USERS, FANOUT).await;
        tower.wait_for(expected).await;
        (FANOUT * ENDPOINTS) as f64 / started.elapsed().as_secs_f64()
    })
    .await
}

/// The median of what `round` measures.
async fn rounds(mut round: impl AsyncFnMut() -> f64) -> f64 {
    let mut figures = Vec::new();
    for _ in 0..ROUNDS {
        figures.push(round().await);
    }
    figures.sort_by(f64::total_cmp);
    figures.get(ROUNDS / 2).copied().expect("at least one round")
}

fn line(what: &str, figure: f64, baseline: Option<(f64, &str)>) {
    match baseline {
        Some((of, name)) => println!("{what:<44} {figure:>12.0} {:>8.2}  {name}", figure / of),
        None => println!("{what:<44} {figure:>12.0}"),
    }
}
