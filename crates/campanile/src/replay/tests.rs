//! A replay that is interrupted, and what it says of state that is not what the log amounts to.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test code"
)]

use std::sync::Arc;

use campanile_core::port::{
    Applied, EventLog, LogAdmin, NewRecord, Piece, PieceKey, PieceWrite, Stream, Write,
};
use campanile_core::{
    Address, ApnsToken, AppId, EndpointId, Environment, Event, Fact, Partition, PushStyle, Reach,
    RegistrationId, Timestamp, UserRef,
};
use campanile_engine::replayer::Phase;
use campanile_engine::tasks::{Task, spawn};
use campanile_proto::codec;

use super::*;
use crate::config::{Config, Given};
use crate::group;
use crate::role::Group;

const PARTITIONS: u16 = 4;

async fn parts(directory: &std::path::Path) -> Arc<Parts> {
    let flags = [
        ("store.directory", ("--data-dir", directory.display().to_string())),
        ("store.partitions", ("--partitions", PARTITIONS.to_string())),
    ];
    let given = Given { flags: flags.into_iter().collect(), ..Given::default() };
    let (config, _) = Config::load(given).unwrap();
    let parts = loop {
        match Parts::open(&config).await {
            // What was under way when a replay was cut off may still hold it.
            Err(failure) if failure.message.contains("in use") => {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            opened => break opened.unwrap(),
        }
    };
    group::prepare(&parts, &config.serve.roles).await.unwrap();
    Arc::new(parts)
}

fn user(number: u16) -> UserRef {
    let mut bytes = [7; 16];
    bytes[..2].copy_from_slice(&number.to_be_bytes());
    UserRef::from_bytes(bytes)
}

/// An endpoint for each of many users.
async fn fill(parts: &Parts, users: u16) {
    let token = ApnsToken::new("00ff").unwrap();
    let address = Arc::new(Address::Apns {
        token,
        topic: "org.example".into(),
        environment: Environment::Production,
    });
    let record = |number: u16| {
        let event = Event::EndpointRegistered {
            endpoint: EndpointId::from_bytes([1; 16]),
            registration: RegistrationId::from_bytes([2; 16]),
            address: address.clone(),
            style: PushStyle::Payload,
            lease_until: Timestamp::from_millis(u64::MAX),
        };
        let (app, user) = (AppId::new("app").unwrap(), user(number));
        let body = codec::encode_fact(&Fact { app, user, cause: None, event });
        NewRecord { partition: Partition(number % PARTITIONS), user, body }
    };
    let records = (0..users).map(record).collect();
    let appended = parts.log(Stream::Events).append(records).await;
    assert!(appended.iter().all(Result::is_ok), "{appended:?}");
}

/// Runs the projector of events until it has folded everything.
async fn fold(parts: &Arc<Parts>) -> (Task<()>, campanile_engine::tasks::ShutdownHandle) {
    let (stop, stopping) = Shutdown::new();
    let role = compose::projector(parts, Group::PROJECTOR_EVENTS);
    let running = spawn(async move { role.run(stopping).await.unwrap() });
    let log = parts.log(Stream::Events);
    for partition in log.identity().partitions() {
        let end = log.bounds(partition).await.unwrap().end;
        let serving = compose::replayer(parts).serving;
        while serving.view(partition, &[]).await.map_or(true, |it| it.checkpoint < end) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    (running, stop)
}

fn wanted(goal: WantedGoal, accept_drift: bool) -> Wanted {
    Wanted { goal, accept_drift, afresh: false }
}

async fn replay(parts: &Parts, wanted: Wanted) -> Result<Ended, Failure> {
    let (_keep, shutdown) = Shutdown::new();
    here(parts, wanted, Watcher::default(), shutdown).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_interrupted_is_gone_on_with_also_after_a_restart() {
    const USERS: u16 = 40_000;
    let directory = tempfile::tempdir().unwrap();
    {
        let parts = parts(directory.path()).await;
        fill(&parts, USERS).await;
        let (stop, stopping) = Shutdown::new();
        let watcher = Watcher::default();
        let mut watched = watcher.subscribe();
        // A task of its own: the replay leaves this one little time.
        let interrupt = spawn(async move {
            watched.wait_for(|it| it.folded > 0).await.unwrap();
            stop.begin();
        });
        let ended = here(&parts, wanted(WantedGoal::Switch, false), watcher, stopping).await;
        interrupt.join().await.unwrap();
        let failure = ended.unwrap_err();
        assert_eq!(failure.kind, Kind::Temporary, "{failure:?}");
        parts.close();
    }
    let parts = parts(directory.path()).await;
    let (_keep, shutdown) = Shutdown::new();
    let watcher = Watcher::default();
    let watched = watcher.subscribe();
    let ended = here(&parts, wanted(WantedGoal::Switch, false), watcher, shutdown).await.unwrap();
    let progress = *watched.borrow();
    assert!(ended.switched && ended.drift.is_empty(), "{ended:?}");
    assert!(progress.resumed, "{progress:?}");
    assert!(progress.folded > 0 && progress.folded < u64::from(USERS), "{progress:?}");
    assert_eq!((progress.phase, progress.done), (Phase::Switching, u64::from(USERS)));
    let reach = PieceKey::Reach(user(3));
    let views = compose::replayer(&parts).serving.view(Partition(3), &[reach]).await.unwrap();
    assert!(matches!(&views.pieces[..], [Some(Piece::Reach(reach))] if reach.endpoints.len() == 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn state_that_the_log_does_not_amount_to_is_found_and_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let parts = parts(directory.path()).await;
    fill(&parts, 400).await;
    let (projector, stop) = fold(&parts).await;
    let clean = replay(&parts, wanted(WantedGoal::Verify, false)).await.unwrap();
    assert_eq!((clean.partitions, clean.drift.len(), clean.switched), (4, 0, false));
    stop.begin();
    projector.join().await.unwrap();

    // A user's endpoints are gone, as after a bug in a fold.
    let serving = compose::replayer(&parts).serving;
    let claim = serving.claim(Partition(2), Stream::Events).await.unwrap();
    let key = PieceKey::Reach(user(6));
    let lost = Piece::Reach(Arc::new(Reach { as_of: claim.next, ..Reach::default() }));
    let write = Write {
        partition: Partition(2),
        stream: Stream::Events,
        epoch: claim.epoch,
        from: claim.next,
        to: claim.next,
        time: Timestamp::ZERO,
        pieces: vec![PieceWrite {
            key,
            piece: lost,
            keep_until: None,
            is_new: false,
            comes_again: false,
        }],
        agenda: vec![],
        history: vec![],
    };
    assert_eq!(serving.apply(write).await, Ok(Applied::Applied));
    let (_projector, _stop) = fold(&parts).await;

    let found = replay(&parts, wanted(WantedGoal::Verify, false)).await.unwrap();
    let drifted: Vec<_> = found.drift.iter().map(|it| it.partition).collect();
    assert_eq!((drifted, found.switched), (vec![2], false));
    assert!(found.drift[0].differences.starts_with("reach: 100 serve, 100 in the log"));
    let refused = replay(&parts, wanted(WantedGoal::Switch, false)).await.unwrap();
    assert_eq!((refused.drift.len(), refused.switched), (1, false));
    // What is carried of it is as wrong, until something better serves.
    let carried = compose::replayer(&parts).carried;
    let as_of = carried.carry(Partition(2)).await.unwrap();
    let wrong = carried.state(Partition(2)).await.unwrap().unwrap();
    let replaced = replay(&parts, wanted(WantedGoal::Switch, true)).await.unwrap();
    assert_eq!((replaced.drift.len(), replaced.switched), (1, true));
    let mended = carried.state(Partition(2)).await.unwrap().unwrap();
    assert_eq!([mended.as_of, wrong.as_of], [as_of; 2], "nothing happened meanwhile");
    assert!(mended.pieces != wrong.pieces, "what is carried is still wrong");
    assert_eq!(carried.as_of(Partition(1)).await, Ok(None), "it was not carried");
    let clean = replay(&parts, wanted(WantedGoal::Verify, false)).await.unwrap();
    assert_eq!(clean.drift, []);

    // The former one is what it was: brought up to date, and still wrong.
    let back = replay(&parts, wanted(WantedGoal::RollBack, false)).await.unwrap();
    assert!(back.switched, "{back:?}");
    let found = replay(&parts, wanted(WantedGoal::Verify, false)).await.unwrap();
    assert_eq!(found.drift.len(), 1);
}

#[tokio::test]
async fn there_must_be_something_to_go_back_to() {
    let directory = tempfile::tempdir().unwrap();
    let parts = parts(directory.path()).await;
    let failure = replay(&parts, wanted(WantedGoal::RollBack, false)).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Failed);
    assert!(failure.message.contains("no former namespace"), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_carried_does_not_undo_what_came_later() {
    let directory = tempfile::tempdir().unwrap();
    let parts = parts(directory.path()).await;
    fill(&parts, 40).await;
    let (_projector, _stop) = fold(&parts).await;
    let (log, carried) = (parts.log(Stream::Events), compose::replayer(&parts).carried);
    let mut as_of = Vec::new();
    for partition in log.identity().partitions() {
        as_of.push(carried.carry(partition).await.unwrap());
    }
    let later = Timestamp::from_millis(u64::MAX);
    log.retain(Duration::ZERO, later, &as_of).await.unwrap();
    parts.log(Stream::Receipts).retain(Duration::ZERO, later, &as_of).await.unwrap();
    log.retain(Duration::ZERO, later, &as_of).await.unwrap();
    assert_eq!(log.bounds(Partition(3)).await.unwrap().start, as_of[3], "nothing was dropped");

    let event = Event::EndpointRetired {
        endpoint: EndpointId::from_bytes([1; 16]),
        registration: None,
        reason: campanile_core::RetireReason::Unregistered,
    };
    let (app, user) = (AppId::new("app").unwrap(), user(3));
    let body = codec::encode_fact(&Fact { app, user, cause: None, event });
    let record = NewRecord { partition: Partition(3), user, body };
    assert!(log.append(vec![record]).await[0].is_ok());
    let (_projector, _stop) = fold(&parts).await;

    let rebuilt = replay(&parts, wanted(WantedGoal::Switch, false)).await.unwrap();
    assert_eq!((rebuilt.drift, rebuilt.switched), (vec![], true));
    let serving = compose::replayer(&parts).serving;
    let reach = async |user| {
        let views = serving.view(Partition(3), &[PieceKey::Reach(user)]).await.unwrap();
        let Some(Piece::Reach(reach)) = &views.pieces[0] else { panic!("{views:?}") };
        (reach.endpoints.len(), reach.tombstones.len())
    };
    assert_eq!(reach(user).await, (0, 1), "a retired endpoint is back");
    assert_eq!(reach(self::user(7)).await, (1, 0), "an endpoint is lost");
}
