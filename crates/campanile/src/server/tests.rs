//! What the end of a role means.

use campanile_core::port::GroupName;

use super::*;

#[test]
fn the_end_of_a_role_has_its_exit_code() {
    let unavailable = || ReadError::Unavailable { reason: "gone".to_owned() };
    let table = [
        (Some(Err(unavailable())), Kind::Unavailable, "scheduler: log unavailable: gone"),
        (
            Some(Err(ReadError::NoGroup(GroupName("scheduler".to_owned())))),
            Kind::Config,
            "scheduler: no group scheduler; create it first",
        ),
        (
            Some(Err(ReadError::Newer { place: "there".into(), reason: "format 2".into() })),
            Kind::Config,
            "scheduler: there is of a later release: format 2",
        ),
        (Some(Ok(())), Kind::Bug, "scheduler ended by itself"),
        (None, Kind::Bug, "scheduler panicked"),
    ];
    for (end, kind, message) in table {
        assert_eq!(ended("scheduler", end), Failure::new(kind, message));
    }
}
