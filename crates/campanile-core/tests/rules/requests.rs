//! What makes a retried publish one notification.

use std::time::Duration;

use campanile_core::{Limits, PostVerdict};
use campanile_testkit::scenario::{given, posted};
use campanile_testkit::vocabulary::user;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn the_same_request_again_is_nothing() {
    given([posted("a").with_key("k")])
        .when(posted("a").with_key("k"))
        .then_the_post_is(PostVerdict::Repeated)
        .then_changes_nothing()
        .then_plans_nothing()
        .then_item("a", |item| assert_eq!(item.revision, 1));
}

#[test]
fn the_same_key_with_another_body_loses() {
    given([posted("a").with_key("k").saying("one")])
        .when(posted("a").with_key("k").saying("two"))
        .then_the_post_is(PostVerdict::Conflicted)
        .then_changes_nothing()
        .then_plans_nothing();
}

#[test]
fn another_key_is_another_revision() {
    given([posted("a").with_key("k")])
        .when(posted("a").with_key("l"))
        .then_the_post_is(PostVerdict::Accepted)
        .then_item("a", |item| assert_eq!(item.revision, 2));
}

#[test]
fn without_a_key_every_post_counts() {
    given([posted("a")])
        .when(posted("a"))
        .then_the_post_is(PostVerdict::Accepted)
        .then_item("a", |item| assert_eq!(item.revision, 2));
}

#[test]
fn a_key_belongs_to_its_user() {
    given([posted("a").with_key("k")])
        .when(posted("a").with_key("k").of(user(2)))
        .then_the_post_is(PostVerdict::Accepted);
}

#[test]
fn a_key_is_remembered_for_a_day_past_a_short_life() {
    let short = posted("a").with_key("k").living(HOUR);
    given([short.clone()])
        .when(short.clone().after(DAY - Duration::from_millis(1)))
        .then_the_post_is(PostVerdict::Repeated);
    given([short.clone()])
        .when(short.after(DAY))
        .then_the_post_is(PostVerdict::Accepted)
        .then_item("a", |item| assert_eq!(item.revision, 2));
}

#[test]
fn a_key_is_remembered_as_long_as_the_item_lives() {
    let long = posted("a").with_key("k").living(7 * DAY);
    given([long.clone()])
        .when(long.clone().after(7 * DAY - Duration::from_millis(1)))
        .then_the_post_is(PostVerdict::Repeated);
    given([long.clone()]).when(long.after(7 * DAY)).then_the_post_is(PostVerdict::Accepted);
}

#[test]
fn no_key_is_remembered_for_longer_than_the_longest_life() {
    let endless = posted("a").with_key("k").living(90 * DAY);
    given([endless.clone()])
        .when(endless.after(Limits::LONGEST_LIFE))
        .then_the_post_is(PostVerdict::Accepted);
}

#[test]
fn a_key_used_again_after_its_time_is_remembered_anew() {
    let post = || posted("a").with_key("k").living(HOUR);
    given([post(), post().saying("new").after(DAY)])
        .when(post().saying("new").after(HOUR))
        .then_the_post_is(PostVerdict::Repeated)
        .and_when(post().after(HOUR))
        .then_the_post_is(PostVerdict::Conflicted);
}
