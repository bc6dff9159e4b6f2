//! How items follow from events.

use std::time::Duration;

use campanile_core::{AgendaEntry, Content, Due, Ended, Item, Limits, Offset, UserAction};
use campanile_testkit::scenario::{
    activated, deleted, dismissed, expired, given, posted, read, recalled, reset, snoozed, unread,
};
use campanile_testkit::vocabulary::{START, item, laptop, phone, user};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

fn is_empty(content: &Content) -> bool {
    *content == Content::default()
}

fn title(item: &Item) -> &str {
    item.content.visual.as_ref().map_or("", |visual| &visual.title)
}

#[test]
fn a_first_post_makes_an_unread_item() {
    given([]).when(posted("a").saying("hello")).then_item("a", |item| {
        assert_eq!((item.revision, item.posted_at), (1, Some(Offset(1))));
        assert_eq!((item.read, item.action, item.ended), (false, UserAction::None, None));
        assert_eq!((item.created, item.modified), (START.after(SECOND), START.after(SECOND)));
        assert_eq!(title(item), "hello");
        assert!(!item.is_handled());
    });
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn another_post_is_the_next_revision_and_replaces_the_content() {
    given([posted("a").saying("one")]).when(posted("a").saying("two")).then_item("a", |item| {
        assert_eq!((item.revision, title(item)), (2, "two"));
        assert_eq!(item.revisions, [Offset(1), Offset(2)]);
        assert_eq!((item.created, item.modified), (START.after(SECOND), START.after(2 * SECOND)));
    });
}

#[test]
fn items_have_revisions_of_their_own() {
    let posts = [posted("a"), posted("b"), posted("a").of(user(2))];
    given(posts).when(posted("a")).then_item("a", |item| assert_eq!(item.revision, 2));
}

#[test]
fn the_latest_sixteen_revisions_are_told_apart() {
    let posts = std::iter::repeat_n(posted("a"), 16);
    given(posts).when(posted("a")).then_item("a", |item| {
        assert_eq!((item.revision, item.revisions.len()), (17, Limits::REVISIONS_REMEMBERED));
        assert_eq!(item.revision_posted_at(Offset(17)), Some(17));
        assert_eq!(item.revision_posted_at(Offset(2)), Some(2));
        assert_eq!(item.revision_posted_at(Offset(1)), None);
    });
}

#[test]
fn a_life_is_thirty_days_at_most() {
    given([]).when(posted("a").living(90 * DAY)).then_item("a", |item| {
        assert_eq!(item.expires_at, START.after(SECOND).after(Limits::LONGEST_LIFE));
    });
}

#[test]
fn nothing_is_delivered_after_its_end() {
    let post = posted("a").living(HOUR).delivered_within(2 * HOUR);
    given([]).when(post).then_item("a", |item| assert_eq!(item.deliver_by, item.expires_at));
}

#[test]
fn an_end_is_on_the_agenda_and_moves_with_a_revision() {
    let at = |secs, revision| AgendaEntry {
        at: START.after(Duration::from_secs(secs)),
        due: Due::Expire { id: item(user(1), "a"), revision },
    };
    given([])
        .when(posted("a").living(HOUR))
        .then_agenda(|agenda| assert_eq!(agenda, [at(3601, 1)]))
        .and_when(posted("a").living(2 * HOUR))
        .then_agenda(|agenda| assert_eq!(agenda, [at(7202, 2)]))
        .and_when(deleted("a"))
        .then_agenda(|agenda| assert_eq!(agenda, []));
}

#[test]
fn an_item_expires_when_its_time_comes() {
    given([posted("a").living(HOUR)])
        .when(expired("a", 1).after(HOUR))
        .then_item("a", |item| {
            assert_eq!(item.ended, Some(Ended::Expired));
            assert!(is_empty(&item.content));
        })
        .then_agenda(|agenda| assert_eq!(agenda, []))
        .then_plans_nothing();
}

#[test]
fn an_item_does_not_expire_early_or_by_a_former_revision() {
    given([posted("a").living(HOUR)])
        .when(expired("a", 1).after(HOUR - SECOND))
        .then_item("a", |item| assert_eq!((item.ended, item.revision), (None, 1)))
        .then_agenda(|agenda| assert_eq!(agenda.len(), 1))
        .and_when(posted("a").living(HOUR))
        .and_when(expired("a", 1).after(2 * HOUR))
        .then_item("a", |item| assert_eq!((item.ended, item.revision), (None, 2)))
        .then_agenda(|agenda| assert_eq!(agenda.len(), 1));
}

#[test]
fn an_unknown_item_does_not_expire() {
    // Its entry, which nothing else takes away, leaves the agenda.
    given([])
        .when(expired("a", 1))
        .then_agenda(|agenda| assert!(agenda.is_empty()))
        .then_plans_nothing();
}

#[test]
fn a_later_revision_brings_an_ended_item_back() {
    for end in [recalled("a"), deleted("a"), expired("a", 1).after(40 * DAY)] {
        given([posted("a"), end]).when(posted("a").saying("back")).then_item("a", |item| {
            assert_eq!((item.ended, item.revision, title(item)), (None, 2, "back"));
        });
    }
}

#[test]
fn reading_is_last_writer_wins() {
    given([posted("a"), read("a").on(phone(1))])
        .when(unread("a").on(laptop(1)))
        .then_item("a", |item| assert!(!item.read && !item.is_handled()))
        .and_when(read("a").on(laptop(1)))
        .then_item("a", |item| assert!(item.read && item.is_handled()));
}

#[test]
fn an_action_is_last_writer_wins_until_it_is_dismissed() {
    given([posted("a"), activated("a")])
        .when(snoozed("a"))
        .then_item("a", |item| assert_eq!(item.action, UserAction::Snoozed))
        .and_when(reset("a"))
        .then_item("a", |item| assert_eq!(item.action, UserAction::None))
        .and_when(dismissed("a"))
        .then_item("a", |item| assert_eq!(item.action, UserAction::Dismissed));
}

#[test]
fn dismissed_is_final_for_its_revision() {
    for change in [reset("a"), activated("a"), snoozed("a"), dismissed("a")] {
        given([posted("a"), dismissed("a")]).when(change).then_changes_nothing();
    }
    given([posted("a"), dismissed("a")])
        .when(read("a"))
        .and_when(unread("a"))
        .then_item("a", |item| assert_eq!(item.action, UserAction::Dismissed));
}

#[test]
fn a_new_revision_is_unread_and_unhandled() {
    let before = [posted("a"), read("a"), dismissed("a")];
    given(before).when(posted("a")).then_item("a", |item| {
        assert_eq!((item.read, item.action), (false, UserAction::None));
        assert_eq!(item.dismissed_through, 1);
    });
}

#[test]
fn what_is_handled_before_its_post_stays_handled() {
    given([dismissed("a")]).when(posted("a")).then_item("a", |item| {
        assert_eq!((item.revision, item.action), (1, UserAction::Dismissed));
    });
    given([read("a")]).when(posted("a")).then_item("a", |item| assert!(item.read));
    given([activated("a")]).when(posted("a")).then_item("a", |item| {
        assert_eq!(item.action, UserAction::Activated);
    });
}

#[test]
fn what_was_handled_before_its_post_is_not_listed_until_then() {
    given([]).when(dismissed("a")).then_item("a", |item| {
        assert_eq!(item.revision, 0);
        assert!(!item.is_listed(START));
    });
}

#[test]
fn what_ended_before_its_post_stays_ended_for_the_first_revision() {
    for (end, ended) in [(deleted("a"), Ended::Deleted), (recalled("a"), Ended::Recalled)] {
        given([end])
            .when(posted("a"))
            .then_item("a", |item| {
                assert_eq!((item.revision, item.ended), (1, Some(ended)));
                assert!(is_empty(&item.content));
            })
            .then_agenda(|agenda| assert_eq!(agenda, []))
            .and_when(posted("a"))
            .then_item("a", |item| assert_eq!((item.revision, item.ended), (2, None)));
    }
}

#[test]
fn a_change_of_an_older_revision_leaves_a_newer_one_alone() {
    for change in [read("a"), dismissed("a"), activated("a")] {
        given([posted("a"), posted("a")]).when(change.seeing(1)).then_changes_nothing();
    }
}

#[test]
fn a_change_of_the_current_revision_counts() {
    let both = [posted("a"), posted("a")];
    given(both).when(dismissed("a").seeing(2)).then_item("a", |item| {
        assert_eq!((item.action, item.dismissed_through), (UserAction::Dismissed, 2));
    });
}

#[test]
fn an_end_takes_the_content() {
    for (end, ended) in [(deleted("a"), Ended::Deleted), (recalled("a"), Ended::Recalled)] {
        given([posted("a")])
            .when(end)
            .then_item("a", |item| {
                assert_eq!(item.ended, Some(ended));
                assert!(is_empty(&item.content));
            })
            .and_when(read("a"))
            .then_changes_nothing()
            .and_when(recalled("a"))
            .then_changes_nothing();
    }
}

#[test]
fn an_ended_item_is_not_listed() {
    let now = START.after(HOUR);
    given([]).when(posted("a")).then_item("a", |item| assert!(item.is_listed(now)));
    for end in [deleted("a"), recalled("a")] {
        given([posted("a")]).when(end).then_item("a", |item| assert!(!item.is_listed(now)));
    }
    let short = posted("a").living(HOUR - SECOND);
    given([]).when(short).then_item("a", |item| assert!(!item.is_listed(now)));
}

#[test]
fn an_item_is_remembered_for_a_day_after_its_end() {
    given([]).when(posted("a").living(HOUR)).then_item("a", |item| {
        assert_eq!(item.keep_until(), START.after(SECOND).after(HOUR).after(DAY));
    });
}

/// Whoever follows the user's items and was away goes by the end that it knows.
#[test]
fn an_item_is_remembered_for_a_day_after_the_latest_end_that_anybody_was_told() {
    let first_end = START.after(SECOND).after(HOUR);
    given([posted("a").living(HOUR)])
        .when(posted("a").living(SECOND))
        .then_item("a", |item| {
            assert!(item.expires_at < first_end);
            assert_eq!(item.keep_until(), first_end.after(DAY));
        })
        .and_when(posted("a").living(SECOND))
        .then_item("a", |item| assert_eq!(item.keep_until(), first_end.after(DAY)))
        .and_when(posted("a").living(DAY))
        .then_item("a", |item| {
            assert_eq!(item.keep_until(), item.expires_at.after(DAY));
            assert_eq!(item.earlier_end, None);
        });
}

#[test]
fn saying_the_same_again_changes_nothing() {
    given([posted("a"), read("a")]).when(read("a")).then_changes_nothing();
    given([posted("a"), activated("a")]).when(activated("a")).then_changes_nothing();
    given([posted("a")]).when(unread("a")).then_changes_nothing();
}

#[test]
fn the_latest_change_is_known_for_every_endpoint() {
    let (one, two) = (phone(1).endpoint(user(1)), laptop(1).endpoint(user(1)));
    given([posted("a"), read("a").on(phone(1))])
        .when(snoozed("a").on(phone(1)))
        .then_item("a", |item| {
            assert_eq!(item.last_change_not_from(one), None);
            assert_eq!(item.last_change_not_from(two), Some(Offset(3)));
        })
        .and_when(unread("a").on(laptop(1)))
        .then_item("a", |item| {
            assert_eq!(item.last_change_not_from(one), Some(Offset(4)));
            assert_eq!(item.last_change_not_from(two), Some(Offset(3)));
        })
        .and_when(recalled("a"))
        .then_item("a", |item| {
            assert_eq!(item.last_change_not_from(one), Some(Offset(5)));
            assert_eq!(item.last_change_not_from(two), Some(Offset(5)));
        });
}
