//! Random folds: whatever is written in whatever steps, the projection answers like a plain model.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test code"
)]

use campanile_core::port::{
    Applied, Claim, HistoryQuery, ItemOrder, ItemQuery, Piece, Projection, RecordRef, Stream, Write,
};
use campanile_core::{NotificationId, Offset, Recorded, Timestamp, UserRef};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_oneof};
use proptest::test_runner::{Config, TestRunner};

use super::model::Model;
use super::writer::{LOG, OpenProjection, P0, ProjectionFactory, Writer, record};
use crate::strategy::{ITEMS, USERS, logs, some_user};
use crate::vocabulary::item;
use crate::world::World;

/// What happens to the projection.
#[derive(Clone, Debug)]
enum Step {
    /// So many more records are folded in one write.
    Fold(usize),
    /// A receipt about an item of a user is stored.
    Receipt(u16, &'static str),
    /// Somebody else becomes the writer.
    Claim,
    /// A write that does not start at the checkpoint is tried.
    Gap(u64),
    /// The projection is closed and opened.
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let names = proptest::sample::select(&ITEMS[..]);
    let step = prop_oneof![
        8 => (1..4_usize).prop_map(Step::Fold),
        2 => (0..USERS, names).prop_map(|(user, name)| Step::Receipt(user, name)),
        1 => Just(Step::Claim),
        1 => (0..50_u64).prop_map(Step::Gap),
        1 => Just(Step::Reopen),
    ];
    vec(step, 0..24)
}

/// Whatever is written in whatever steps, every answer is that of the model.
pub fn random_folds_match_the_model(factory: &impl ProjectionFactory) {
    let config = Config { cases: 48, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&(logs(40), steps()), |(log, steps)| {
        super::run(play(factory, &log, steps));
        Ok(())
    });
    assert!(outcome.is_ok(), "{}", outcome.unwrap_err());
}

async fn play<F: ProjectionFactory>(factory: &F, log: &[Recorded], steps: Vec<Step>) {
    let mut open = factory.create(LOG).await;
    let mut model = Model::default();
    let mut claims = claim(open.projection()).await;
    for step in steps {
        match step {
            Step::Reopen => {
                open = factory.reopen(open, LOG).await.unwrap();
                claims = claim(open.projection()).await;
                forget_what_was_lost(&mut model, &claims);
            }
            Step::Claim => {
                let stale = claims.clone();
                claims = claim(open.projection()).await;
                for (stream, claim) in stale {
                    let applied = open.projection().apply(empty(stream, claim)).await;
                    assert_eq!(applied, Ok(Applied::Fenced));
                }
            }
            Step::Gap(from) => {
                let (stream, claim) = claims[0];
                let write = Write { from: Offset(from), ..empty(stream, claim) };
                if write.from != claim.next {
                    let applied = open.projection().apply(write).await;
                    assert_eq!(applied, Ok(Applied::Gap(claim.next)));
                }
            }
            Step::Fold(count) => {
                let Some(write) = fold(log, &claims[0].1, count) else { continue };
                put(open.projection(), &mut model, &mut claims[0].1, write).await;
            }
            Step::Receipt(index, name) => {
                let write = receipt(&claims[1].1, some_user(index), name);
                put(open.projection(), &mut model, &mut claims[1].1, write).await;
            }
        }
        compare(open.projection(), &model).await;
    }
}

async fn claim(projection: &dyn Projection) -> Vec<(Stream, Claim)> {
    let mut claims = Vec::new();
    for stream in Stream::ALL {
        claims.push((stream, projection.claim(P0, stream).await.unwrap()));
    }
    claims
}

/// After a restart the model is what the checkpoints say was kept: all writes up to one of them.
fn forget_what_was_lost(model: &mut Model, claims: &[(Stream, Claim)]) {
    let agrees = |model: &Model| claims.iter().all(|(s, it)| model.checkpoint(*s) == it.next);
    while !agrees(model) {
        assert!(model.writes.pop().is_some(), "{claims:?} were never the checkpoints");
    }
}

fn empty(stream: Stream, claim: Claim) -> Write {
    let Claim { epoch, next } = claim;
    Write {
        partition: P0,
        stream,
        epoch,
        from: next,
        to: next.next(),
        time: Timestamp::ZERO,
        pieces: Vec::new(),
        agenda: Vec::new(),
        history: Vec::new(),
    }
}

/// The write of the next `count` records, if there are any left.
fn fold(log: &[Recorded], claim: &Claim, count: usize) -> Option<Write> {
    let (before, after) =
        log.split_at(log.partition_point(|record| record.position.offset < claim.next));
    let mut world = World::of(before);
    let mut step = Write { to: claim.next, ..empty(Stream::Events, *claim) };
    for record in after.iter().take(count) {
        step = Writer::then(&mut world, step, record);
    }
    (step.to > step.from).then_some(step)
}

fn receipt(claim: &Claim, user: UserRef, name: &str) -> Write {
    let about = record(Stream::Receipts, claim.next.0);
    let history = vec![(user, Some(item(user, name)), about)];
    Write { history, ..empty(Stream::Receipts, *claim) }
}

async fn put(projection: &dyn Projection, model: &mut Model, claim: &mut Claim, write: Write) {
    assert_eq!(projection.apply(write.clone()).await, Ok(Applied::Applied));
    claim.next = write.to;
    model.writes.push(write);
}

async fn compare(projection: &dyn Projection, model: &Model) {
    let checkpoint = model.checkpoint(Stream::Events);
    let keys: Vec<_> = model.keys().into_iter().collect();
    let views = projection.view(P0, &keys).await.unwrap();
    assert_eq!(views.checkpoint, checkpoint);
    for (key, found) in keys.iter().zip(views.pieces) {
        let (expected, may_be_dropped) = model.piece(*key);
        assert!(found == expected || (may_be_dropped && found.is_none()), "{key:?}: {found:?}");
    }
    for user in (0..USERS).map(some_user) {
        for order in [ItemOrder::OldestFirst, ItemOrder::NewestFirst] {
            compare_items(projection, model, user, order).await;
        }
        let of = ITEMS.iter().map(|name| Some(item(user, name))).chain([None]);
        for of in of {
            compare_history(projection, model, user, of).await;
        }
    }
    let due = projection.due(P0, Timestamp::from_millis(u64::MAX), 1000).await.unwrap();
    assert!(due.is_sorted_by_key(|due| due.entry.at));
    let mut due: Vec<_> = due.into_iter().map(|due| (due.entry, due.user)).collect();
    due.sort();
    assert_eq!(due, model.agenda().into_iter().collect::<Vec<_>>());
}

async fn compare_items(
    projection: &dyn Projection,
    model: &Model,
    user: UserRef,
    order: ItemOrder,
) {
    let query = ItemQuery { order, after: None, limit: 100 };
    let found = projection.items(P0, user, query).await.unwrap();
    assert_eq!((found.checkpoint, found.more), (model.checkpoint(Stream::Events), false));
    for item in &found.items {
        let key = campanile_core::port::PieceKey::Item(user, item.id);
        assert_eq!(model.piece(key).0, Some(Piece::Item(item.clone())));
    }
    let found: Vec<NotificationId> = found.items.iter().map(|item| item.id).collect();
    let mut expected = model.items(user, order);
    expected.retain(|(id, may_be_dropped)| !may_be_dropped || found.contains(id));
    let expected: Vec<_> = expected.into_iter().map(|(id, _)| id).collect();
    assert_eq!(found, expected, "{order:?}");
}

async fn compare_history(
    projection: &dyn Projection,
    model: &Model,
    user: UserRef,
    of: Option<NotificationId>,
) {
    let found =
        projection.history(P0, user, HistoryQuery { of, ..HistoryQuery::default() }).await.unwrap();
    let found_in = |stream| {
        let own = found.iter().filter(move |record: &&RecordRef| record.stream == stream);
        own.copied().collect::<Vec<_>>()
    };
    for stream in Stream::ALL {
        assert_eq!(found_in(stream), model.history(stream, user, of), "{stream:?} of {of:?}");
    }
    assert_eq!(found.len(), Stream::ALL.map(|stream| found_in(stream).len()).iter().sum());
}
