//! What the measurements of the senders have in common.

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use campanile_core::port::{Clock, Push, PushBody, Pusher};
use campanile_core::{
    Address, Content, DeliveryId, NotificationId, Outcome, Priority, Route, Tick, Timestamp, Visual,
};
use campanile_simulate::{Clock as _, SystemClock};
use futures::stream::{FuturesUnordered, StreamExt as _};

/// So many, and the same ones again and again.
pub(crate) const DEVICES: u128 = 10_000;

/// The time of the machine.
pub(crate) struct MachineClock;

impl Clock for MachineClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(SystemClock.now_ms())
    }

    fn tick(&self) -> Tick {
        Tick::from_start(Duration::from_millis(SystemClock.now_ms()))
    }
}

/// How much is sent, and how.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pushes: u128,
    in_flight: usize,
    threads: usize,
}

impl Load {
    /// From the command line: pushes, in flight, threads.
    pub(crate) fn from_args() -> Self {
        let mut args = std::env::args().skip(1);
        let mut number = |default: usize| args.next().map_or(default, |arg| arg.parse().unwrap());
        let pushes = number(400_000) as u128;
        Self { pushes, in_flight: number(4000), threads: number(0) }
    }
}

/// A sender and the simulator behind it.
pub(crate) struct Rig {
    pub(crate) pusher: Arc<dyn Pusher>,
    pub(crate) route: Route,
    pub(crate) pushes: Vec<Push>,
    /// The name of the simulator's thread, as far as the system keeps it (15 bytes).
    pub(crate) thread: &'static str,
    /// How many connections there were.
    pub(crate) connections: Box<dyn Fn() -> u64>,
}

pub(crate) fn measure(load: Load, latency: Duration, rig: Rig) {
    let mut runtime = match load.threads {
        0 => tokio::runtime::Builder::new_current_thread(),
        threads => {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(threads);
            builder
        }
    };
    let runtime = runtime.enable_all().build().unwrap();
    let pushes: Arc<[Push]> = rig.pushes.into();
    let work = move |count: u128| {
        let (pusher, route, pushes) = (rig.pusher.clone(), rig.route.clone(), pushes.clone());
        async move { drive(&*pusher, &route, &pushes, count, load.in_flight).await }
    };
    let run = |count| {
        let work = work(count);
        runtime.block_on(async { tokio::spawn(work).await.unwrap() })
    };
    run(load.pushes / 10);
    let (start, cpu) = (Instant::now(), cpu_time(rig.thread));
    run(load.pushes);
    let (elapsed, after) = (start.elapsed(), cpu_time(rig.thread));
    let rate = load.pushes as f64 / elapsed.as_secs_f64();
    let each = |at: usize| (after[at] - cpu[at]).as_secs_f64() * 1e6 / load.pushes as f64;
    let (ours, theirs) = (each(0), each(1));
    let (connections, latency) = ((rig.connections)(), latency.as_millis());
    let mut out = std::io::stdout();
    writeln!(
        out,
        "latency {latency:>2} ms: {rate:>7.0} pushes/s over {connections} connections; CPU per \
         push: sender {ours:.1} us, simulator {theirs:.1} us",
    )
    .unwrap();
}

/// An alert of a usual size.
pub(crate) fn push(device: u128, address: Address) -> Push {
    let visual = Visual {
        title: "Your order is on its way".to_owned(),
        body: Some("It should ring your bell between ten and eleven.".to_owned()),
        sound: Some("default".to_owned()),
        badge: Some(1),
    };
    let content = Arc::new(Content { visual: Some(visual), raw: None });
    Push {
        delivery: DeliveryId::from_bytes(device.to_be_bytes()),
        address: Arc::new(address),
        item: NotificationId::from_bytes((device + 1).to_be_bytes()),
        sequence: 4711,
        priority: Priority::High,
        expires_at: Timestamp::from_millis(SystemClock.now_ms() + 3_600_000),
        body: PushBody::Show { content, group: None },
        along: Vec::new(),
    }
}

/// One task, with many pushes in flight: the way a delivery worker sends.
async fn drive(pusher: &dyn Pusher, route: &Route, pushes: &[Push], count: u128, limit: usize) {
    let mut in_flight = FuturesUnordered::new();
    let mut next = pushes.iter().cycle();
    for _ in 0..count {
        if in_flight.len() >= limit {
            in_flight.next().await;
        }
        let push = next.next().unwrap().clone();
        in_flight.push(async move {
            let outcome = pusher.slot(route).await.unwrap().send(push).await;
            assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
        });
    }
    while in_flight.next().await.is_some() {}
}

/// The CPU time of the sender's threads and of the simulator's.
fn cpu_time(simulator: &str) -> [Duration; 2] {
    let mut times = [Duration::ZERO; 2];
    for thread in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let read = |file| std::fs::read_to_string(thread.path().join(file)).unwrap_or_default();
        let nanos = read("schedstat").split(' ').next().and_then(|it| it.parse().ok());
        let of_simulator = read("comm").starts_with(simulator);
        times[usize::from(of_simulator)] += Duration::from_nanos(nanos.unwrap_or_default());
    }
    times
}
