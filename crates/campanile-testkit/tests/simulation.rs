//! Some seeds of the simulation, and every seed that once failed. `cargo xtask sim` runs many more.

#![allow(clippy::panic, clippy::expect_used, reason = "test code")]

use campanile_testkit::sim::{self, Planted};

/// Seeds that are run by every `cargo test`, which does not optimise.
const FEW: u64 = 200;

#[track_caller]
fn holds(seed: u64) {
    let report = sim::run(seed, Planted::default(), false);
    let broken = &report.violations;
    assert!(broken.is_empty(), "cargo xtask sim --seed {seed} --trace: {broken:#?}");
}

#[test]
fn every_promise_holds_under_some_seeds() {
    (0..FEW).for_each(holds);
}

#[test]
fn seeds_that_once_failed_hold() {
    let seeds = include_str!("../seeds.txt").lines().filter(|line| !line.starts_with('#'));
    let number = |line: &str| line.split_whitespace().next().and_then(|it| it.parse().ok());
    let seeds: Vec<u64> = seeds.map(|line| number(line).expect("a number comes first")).collect();
    assert!(!seeds.is_empty());
    seeds.into_iter().for_each(holds);
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..10 {
        let run = || sim::run(seed, Planted::default(), false).hash;
        assert_eq!(run(), run(), "seed {seed}");
    }
}
