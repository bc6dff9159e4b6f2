//! What a quota lets in.

use std::time::Duration;

use campanile_core::{Quota, Tick, Used};
use proptest::prelude::*;

fn at(millis: u64) -> Tick {
    Tick::from_start(Duration::from_millis(millis))
}

#[test]
fn a_burst_comes_in_at_once_and_then_the_rate() {
    let quota = Quota::per_second(10).unwrap();
    let mut used = Used::default();
    let burst = (0..).take_while(|_| quota.admit(&mut used, at(0)).is_ok()).count();
    assert_eq!(burst, 600);
    assert_eq!(quota.admit(&mut used, at(0)), Err(Duration::from_millis(100)));
    assert_eq!(quota.admit(&mut used, at(40)), Err(Duration::from_millis(60)));
    assert_eq!(quota.admit(&mut used, at(100)), Ok(()));
    assert!(quota.admit(&mut used, at(100)).is_err());
}

#[test]
fn nothing_is_no_quota() {
    assert_eq!(Quota::per_second(0), None);
}

#[test]
fn what_is_used_is_given_back_with_time() {
    let quota = Quota::per_second(1).unwrap();
    let mut used = Used::default();
    assert!(used.is_nothing(at(0)));
    quota.admit(&mut used, at(0)).unwrap();
    assert!(!used.is_nothing(at(999)));
    assert!(used.is_nothing(at(1000)));
}

proptest! {
    /// In any stretch of time: no more than the rate gives, and a burst.
    #[test]
    fn never_more_than_rate_and_burst(
        rate in 1_u32..2000,
        gaps in prop::collection::vec(0_u64..400, 1..400),
    ) {
        let quota = Quota::per_second(rate).unwrap();
        let (mut used, mut now, mut taken) = (Used::default(), 0, Vec::new());
        for gap in gaps {
            now += gap;
            for _ in 0..200 {
                if quota.admit(&mut used, at(now)).is_ok() {
                    taken.push(now);
                }
            }
        }
        let burst = u64::from(rate) * Quota::BURST.as_secs();
        for (index, first) in taken.iter().enumerate().step_by(97) {
            let span = now - first;
            let allowed = burst + span * u64::from(rate) / 1000 + 2;
            prop_assert!((taken.len() - index) as u64 <= allowed);
        }
    }

    /// Who waits as long as told comes in.
    #[test]
    fn the_wait_that_is_told_is_long_enough(rate in 1_u32..2000, more in 1_usize..50) {
        let quota = Quota::per_second(rate).unwrap();
        let (mut used, mut now) = (Used::default(), at(5));
        while quota.admit(&mut used, now).is_ok() {}
        for _ in 0..more {
            if let Err(wait) = quota.admit(&mut used, now) {
                prop_assert!(!wait.is_zero());
                now = now.after(wait);
                prop_assert_eq!(quota.admit(&mut used, now), Ok(()));
            }
        }
    }
}
