//! The contracts of the ports as tests: one suite per port, run by every adapter of it.
//!
//! An adapter's tests implement the suite's factory and invoke its macro; each sentence of the
//! contract becomes one test:
//!
//! ```text
//! mod log {
//!     campanile_testkit::log_conformance!(super::MyFactory);
//! }
//! ```
//!
//! A check fails by panicking. It runs on a current-thread runtime in real time, so that adapters
//! with threads or sockets of their own are welcome, and it waits on conditions only.

pub mod append;
mod bench;
pub mod carried;
pub mod feed;
pub mod group;
mod member;
mod model;
pub mod namespaces;
pub mod projection;
pub mod pusher;
pub mod query;
pub mod random;
pub mod read;
pub mod rebalance;
mod writer;

use std::time::Duration;

pub use bench::{LogFactory, LogSetup, OpenLog};
pub use carried::{CarriedFactory, OpenCarried};
pub use namespaces::{NamespacesFactory, OpenNamespaces};
pub use pusher::{OpenPusher, PusherFactory, Trouble};
pub use writer::{OpenProjection, ProjectionFactory};

/// How long one check may take.
const LIMIT: Duration = Duration::from_secs(120);

/// How long one wait of a check may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs one check to its end.
///
/// # Panics
/// If the check does, or if it does not end within two minutes.
pub fn run(check: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let in_time = async { tokio::time::timeout(LIMIT, check).await.is_ok() };
    let ended = runtime.map(|runtime| runtime.block_on(in_time));
    assert!(matches!(ended, Ok(true)), "the check did not end within {LIMIT:?}");
}

/// Waits for what must come.
async fn soon<T>(what: &str, awaited: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(PATIENCE, awaited).await;
    assert!(waited.is_ok(), "waited {PATIENCE:?} in vain for {what}");
    match waited {
        Ok(value) => value,
        Err(_) => std::future::pending().await,
    }
}

/// Runs the suites of the log as tests of the calling module: `log_conformance!(factory)`, where
/// `factory` is an expression that makes a [`LogFactory`](crate::conformance::LogFactory).
#[macro_export]
macro_rules! log_conformance {
    ($factory:expr) => {
        $crate::conformance_tests!(
            append,
            $factory,
            [
                append_answers_once_per_record_in_order,
                records_of_one_call_keep_their_order,
                appended_records_are_visible_to_read,
                partitions_are_apart,
                a_refused_record_is_never_there,
                records_stay_the_same_forever,
                records_outlive_a_restart,
                identity_outlives_a_restart,
                another_partition_count_is_an_error,
                times_never_decrease,
                times_never_decrease_across_a_restart,
                readers_see_a_growing_prefix,
                concurrent_appends_are_all_kept,
                random_batches_match_a_list,
            ]
        );
        $crate::conformance_tests!(
            read,
            $factory,
            [
                reading_at_the_tail_is_empty,
                reading_skips_nothing_whatever_the_limit,
                a_read_answers_a_record_however_small_the_limit,
                reading_outside_the_bounds_is_an_error,
                fetch_answers_once_per_offset,
                bounds_enclose_what_is_kept,
                first_at_finds_the_first_record_of_a_time,
                partitions_that_do_not_exist_are_an_error,
                retention_drops_only_old_prefixes,
                retention_stays_below_what_is_needed,
                retention_outlives_a_restart,
            ]
        );
    };
}

/// Runs the suites of consumer groups as tests of the calling module: `group_conformance!(factory)`,
/// where `factory` is an expression that makes a [`LogFactory`].
#[macro_export]
macro_rules! group_conformance {
    ($factory:expr) => {
        $crate::conformance_tests!(
            group,
            $factory,
            [
                a_group_must_be_created,
                a_group_starts_where_it_was_told,
                creating_a_group_again_changes_nothing,
                a_lone_member_has_every_partition,
                who_never_waits_gets_everything,
                records_come_once_and_in_order,
                next_waits_for_an_append,
                a_dropped_next_loses_nothing,
                a_paused_partition_waits,
                nothing_goes_without_an_assignment,
                a_later_member_goes_on_where_progress_was_committed,
                progress_outlives_a_restart,
                groups_are_apart,
                a_dropped_member_gives_its_partitions_back,
                a_dropped_position_is_an_error,
            ]
        );
        $crate::conformance_tests!(
            rebalance,
            $factory,
            [
                a_partition_has_one_member_at_a_time,
                what_was_finished_while_draining_is_not_done_again,
                what_is_busy_is_not_drained_by_its_position,
                a_stale_commit_is_fenced,
                every_record_reaches_somebody,
            ]
        );
    };
}

/// Runs the suites of the projection as tests of the calling module:
/// `projection_conformance!(factory)`, where `factory` is an expression that makes a
/// [`ProjectionFactory`].
#[macro_export]
macro_rules! projection_conformance {
    ($factory:expr) => {
        $crate::conformance_tests!(
            projection,
            $factory,
            [
                the_first_claim_starts_at_zero,
                what_is_not_built_is_an_error,
                a_write_needs_a_claim,
                a_later_claim_fences_the_earlier,
                a_claim_fences_nobody_else,
                a_gap_is_answered_with_the_checkpoint,
                what_is_not_applied_leaves_no_trace,
                steps_of_several_partitions_are_each_for_itself,
                a_write_is_stored_whole,
                receipts_do_not_move_the_events,
                a_restart_loses_whole_writes_at_most,
                another_log_is_refused,
            ]
        );
        $crate::conformance_tests!(
            query,
            $factory,
            [
                view_answers_a_piece_per_key,
                a_view_sees_one_instant,
                items_are_listed_by_their_latest_change,
                items_are_those_of_the_user,
                history_is_in_log_order,
                due_answers_the_earliest_first,
                agenda_changes_count_in_order,
                pieces_are_kept_as_long_as_asked,
                receipts_drop_nothing,
            ]
        );
        $crate::conformance_tests!(
            feed,
            $factory,
            [
                a_change_is_told_once_it_is_visible,
                each_user_is_told_once,
                only_folded_events_of_the_partition_are_told,
                a_slow_reader_lags_and_goes_on,
                a_dropped_wait_loses_no_change,
            ]
        );
        #[test]
        fn random_folds_match_the_model() {
            $crate::conformance::random::random_folds_match_the_model(&$factory);
        }
    };
}

/// Runs the suite of what is carried as tests of the calling module:
/// `carried_conformance!(factory)`, where `factory` is an expression that makes a
/// [`CarriedFactory`].
#[macro_export]
macro_rules! carried_conformance {
    ($factory:expr) => {
        $crate::conformance_tests!(
            carried,
            $factory,
            [
                nothing_is_carried_at_first,
                what_is_not_built_is_not_carried,
                what_is_carried_is_what_was_folded,
                carrying_again_replaces_it,
                partitions_are_carried_apart,
                what_is_carried_outlives_a_restart,
                what_is_carried_never_goes_back,
                at_the_same_place_the_latest_counts,
                a_fold_begins_with_what_is_carried,
            ]
        );
    };
}

/// Runs the suite of namespaces as tests of the calling module:
/// `namespaces_conformance!(factory)`, where `factory` is an expression that makes a
/// [`NamespacesFactory`].
#[macro_export]
macro_rules! namespaces_conformance {
    ($factory:expr) => {
        $crate::conformance_tests!(
            namespaces,
            $factory,
            [
                there_is_nothing_beside_what_serves_at_first,
                a_candidate_is_built_beside_what_serves,
                there_is_one_candidate,
                what_is_built_outlives_a_restart,
                equal_folds_have_equal_digests,
                writers_wait_while_it_is_held,
                a_candidate_that_is_behind_is_refused,
                a_candidate_that_nobody_built_is_refused,
                a_switch_is_for_everybody_and_fences_the_writers,
                a_switch_outlives_a_restart,
                who_follows_what_served_looks_again,
                what_served_can_serve_again,
                a_discarded_candidate_is_gone,
            ]
        );
    };
}

/// Makes a test of each check of a suite.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_tests {
    ($suite:ident, $factory:expr, [$($check:ident),* $(,)?]) => {
        $(
            #[test]
            fn $check() {
                let factory = $factory;
                $crate::conformance::run($crate::conformance::$suite::$check(&factory));
            }
        )*
    };
}

#[cfg(test)]
mod tests {
    /// Every suite and the text of its module.
    const SUITES: [&str; 10] = [
        include_str!("conformance/append.rs"),
        include_str!("conformance/carried.rs"),
        include_str!("conformance/feed.rs"),
        include_str!("conformance/group.rs"),
        include_str!("conformance/namespaces.rs"),
        include_str!("conformance/projection.rs"),
        include_str!("conformance/pusher.rs"),
        include_str!("conformance/query.rs"),
        include_str!("conformance/read.rs"),
        include_str!("conformance/rebalance.rs"),
    ];

    #[test]
    fn no_check_is_left_out_of_its_macro() {
        let lists = [include_str!("conformance.rs"), include_str!("conformance/pusher.rs")];
        let lists: Vec<&str> = lists.iter().flat_map(|text| text.lines()).map(str::trim).collect();
        let checks = SUITES.iter().flat_map(|text| text.lines());
        let checks = checks.filter_map(|line| line.strip_prefix("pub async fn "));
        let names: Vec<&str> = checks.filter_map(|rest| rest.split('(').next()).collect();
        assert!(names.len() > 60, "the checks are not found");
        for name in names {
            assert!(lists.contains(&format!("{name},").as_str()), "{name} is never run");
        }
    }
}
