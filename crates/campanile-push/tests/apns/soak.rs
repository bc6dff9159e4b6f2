//! Every kind of loss at once: no outcome may say more than what is true.

use std::time::Duration;

use campanile_core::Outcome;
use campanile_push::PoolConfig;
use campanile_simulate::apns::{
    Action, Config, ErrorCode, Fate, Fault, Reason, StreamLimits, When,
};

use crate::stage::{Stage, count, is_accepted, is_indefinite, is_unprocessed};

const DEVICES: u32 = 400;

fn faults() -> Vec<Fault> {
    let mut faults = vec![
        Fault::delay(Duration::from_millis(5), When::Chance(0.5)),
        Fault::new(Action::Reject(Reason::InternalServerError.into()), When::Chance(0.03)),
        Fault::new(Action::Reset(ErrorCode::REFUSED_STREAM, Fate::Lost), When::Chance(0.03)),
    ];
    for fate in [Fate::Lost, Fate::Taken] {
        faults.push(Fault::new(Action::Stall(fate), When::Chance(0.01)));
        faults.push(Fault::new(Action::Reset(ErrorCode::CANCEL, fate), When::Chance(0.01)));
        faults.push(Fault::new(Action::Disconnect(fate), When::Chance(0.005)));
        let reason = "Shutdown".to_owned();
        let leave = Action::GoAway { code: ErrorCode::NO_ERROR, reason, fate };
        faults.push(Fault::new(leave, When::Chance(0.05)));
    }
    faults
}

/// Pushes everything until it is accepted, through a service with every kind of trouble.
async fn push_through(seed: u64) {
    let streams = StreamLimits { open: 50, narrow_on_rejection: true, ..StreamLimits::default() };
    let pool = PoolConfig {
        request_timeout: Duration::from_millis(300),
        first_backoff: Duration::from_millis(1),
        longest_backoff: Duration::from_millis(5),
        ..PoolConfig::default()
    };
    let stage = Stage::new(Config { seed, streams, ..Config::default() }, pool, DEVICES);
    for fault in faults() {
        stage.simulator.inject(fault);
    }
    let mut known_sent = vec![0_u64; DEVICES as usize];
    let mut maybe_sent = vec![0_u64; DEVICES as usize];
    let mut left: Vec<u32> = (0..DEVICES).collect();
    for _round in 0..100 {
        let sends = left
            .iter()
            .map(|device| async { (*device, stage.send(crate::stage::alert(*device)).await) });
        let outcomes = futures::future::join_all(sends).await;
        let busy = |outcome: &Outcome| matches!(outcome, Outcome::Unavailable { status: 500, .. });
        let kinds = [is_accepted, is_unprocessed, is_indefinite, busy];
        let sorted: usize = kinds.iter().map(|kind| count(&outcomes, kind)).sum();
        assert_eq!(sorted, left.len(), "seed {seed}: {outcomes:?}");
        for (device, outcome) in &outcomes {
            known_sent[*device as usize] += u64::from(is_accepted(outcome));
            maybe_sent[*device as usize] += u64::from(is_indefinite(outcome));
        }
        left = outcomes.iter().filter(|(_, it)| !is_accepted(it)).map(|(it, _)| *it).collect();
        if left.is_empty() {
            break;
        }
    }
    assert!(left.is_empty(), "seed {seed}: {} pushes never got through", left.len());
    for device in 0..DEVICES {
        let (known, maybe) = (known_sent[device as usize], maybe_sent[device as usize]);
        let arrived = stage.arrived(device);
        let possible = known..=known + maybe;
        assert!(possible.contains(&arrived), "seed {seed}: {arrived} not in {possible:?}");
    }
    let counters = stage.counters();
    assert_eq!(counters.streams_in_flight, 0);
    assert!(counters.going_away > 0, "seed {seed}: {counters:?}");
}

#[tokio::test]
async fn outcomes_are_true_in_any_trouble() {
    for seed in 1..=3 {
        push_through(seed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outcomes_are_true_with_many_threads() {
    for seed in 11..=13 {
        push_through(seed).await;
    }
}
