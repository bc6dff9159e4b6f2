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
//! - how soon the engine answers again when it is killed in the middle of that;
//! - a replay: the state built again from the log, compared and switched to, all of it counted;
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

use campanile_api::Client;
use campanile_simulate::apns::{Fault, When};

use self::engine::{Engine, own_cpu};
use self::tower::Tower;

/// How often each figure is taken.
const ROUNDS: usize = 3;
/// Users who have endpoints, five each.
const USERS: usize = 400;
/// Endpoints of a user.
const ENDPOINTS: usize = 5;
/// Notifications of one ingest round.
const INGEST: usize = 400_000;
/// What the platform takes to answer in the round with latency.
const LATENCY: Duration = Duration::from_millis(50);
/// How often the engine is killed.
const KILLS: usize = 5;
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

/// Whether a part is asked for: by name (`ingest`, `fan-out`, `latency`, `restart`), or all without a name.
fn wants(part: &str) -> bool {
    let names = std::env::args().skip(1).filter(|argument| !argument.starts_with('-'));
    let names: Vec<_> = names.collect();
    names.is_empty() || names.iter().any(|name| name == part)
}

async fn run() {
    let tower = Tower::start();
    let mut engine = Engine::start(&tower).await;
    let mut client = engine.client().await;
    load::register(&client, &tower, USERS, ENDPOINTS).await;
    println!("{:<44} {:>12} {:>8}  of", "", "per second", "ratio");
    if wants("fan-out") {
        let pushed = fan_out(&tower, &engine, &client).await;
        let alone = rounds(|| baseline::push_client(&tower, FANOUT * ENDPOINTS)).await;
        line("fan-out, acknowledged pushes", pushed, Some((alone, "push client alone")));
        line("push client alone", alone, None);
    }
    if wants("latency") {
        let (slow, pushed) = at_latency(&tower, &engine, &client).await;
        line("fan-out at 50 ms latency", slow, Some((pushed, "fan-out without, by turns")));
    }
    if wants("ingest") {
        let raw = baseline::raw_append(INGEST);
        let ingest = rounds(|| load::publish(&client, "stranger", 100_000, INGEST)).await;
        line("durable ingest, notifications", ingest, Some((raw, "raw write and sync")));
        line("raw write and sync, same bytes and batches", raw, None);
    }
    if wants("replay") {
        load::publish(&client, "reader", 100_000, INGEST).await;
        engine.settled().await;
        let replayed = rounds(async || engine.replay()).await;
        line("replay beside what serves, records", replayed, None);
    }
    if wants("restart") {
        let mut took = Vec::new();
        for _ in 0..KILLS {
            took.push(restart(&tower, &mut engine).await.as_millis());
        }
        println!("answers again after kill -9 under load, in ms: {took:?}");
        client = engine.client().await;
    }
    drop(client);
    engine.settled().await;
    let (idle_cpu, rss) = engine.idle(Duration::from_secs(5)).await;
    println!("idle engine: {:.2} % CPU, {rss} MiB", idle_cpu * 100.0);
}

/// Acknowledged pushes per second.
async fn fan_out(tower: &Tower, engine: &Engine, client: &Client) -> f64 {
    let cost = Cost::from_now(engine);
    let pushed = rounds(|| fan_out_once(tower, client)).await;
    engine.settled().await;
    cost.show(engine, ROUNDS);
    pushed
}

/// The same with and without latency at the platform, by turns: an engine that has more behind it
/// has more to merge, and would make the later figure the worse one.
async fn at_latency(tower: &Tower, engine: &Engine, client: &Client) -> (f64, f64) {
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let cost = Cost::from_now(engine);
        without.push(fan_out_once(tower, client).await);
        engine.settled().await;
        cost.show(engine, 1);
        let latency = tower.simulator.inject(Fault::delay(LATENCY, When::Always));
        let cost = Cost::from_now(engine);
        with.push(fan_out_once(tower, client).await);
        engine.settled().await;
        cost.show(engine, 1);
        tower.simulator.lift(latency);
    }
    (median(with), median(without))
}

/// Kills the engine in the middle of ingest and fan-out.
async fn restart(tower: &Tower, engine: &mut Engine) -> Duration {
    let client = engine.client().await;
    let enough = tower.accepted() + (FANOUT * ENDPOINTS / 2) as u64;
    load::publish(&client, "stranger", 100_000, INGEST / 4).await;
    load::publish(&client, "user", USERS, FANOUT).await;
    tower.wait_for(enough).await;
    engine.kill_and_start().await
}

/// One round, from the first publish to the last acknowledgement.
async fn fan_out_once(tower: &Tower, client: &Client) -> f64 {
    let expected = tower.accepted() + (FANOUT * ENDPOINTS) as u64;
    let started = Instant::now();
    load::publish(client, "user", USERS, FANOUT).await;
    tower.wait_for(expected).await;
    (FANOUT * ENDPOINTS) as f64 / started.elapsed().as_secs_f64()
}

/// CPU time spent since a moment, by engine and generator.
struct Cost(f64, f64);

impl Cost {
    fn from_now(engine: &Engine) -> Self {
        Self(engine.cpu(), own_cpu())
    }

    fn show(self, engine: &Engine, rounds: usize) {
        let per_100k = |spent: f64| spent / ((rounds * FANOUT * ENDPOINTS) as f64) * 1e5;
        println!(
            "CPU s per 100,000 pushes: {:.2} engine, {:.2} simulator and generator",
            per_100k(engine.cpu() - self.0),
            per_100k(own_cpu() - self.1),
        );
    }
}

/// The median of what `round` measures.
async fn rounds(mut round: impl AsyncFnMut() -> f64) -> f64 {
    let mut figures = Vec::new();
    for _ in 0..ROUNDS {
        figures.push(round().await);
    }
    median(figures)
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().expect("at least one round")
}

fn line(what: &str, figure: f64, baseline: Option<(f64, &str)>) {
    match baseline {
        Some((of, name)) => println!("{what:<44} {figure:>12.0} {:>8.2}  {name}", figure / of),
        None => println!("{what:<44} {figure:>12.0}"),
    }
}
