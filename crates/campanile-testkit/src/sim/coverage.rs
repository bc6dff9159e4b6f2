//! What must have been reached at least once over many runs.

use super::faults::Fault;

/// Interesting branches besides the faults, some of them told by counters of the roles.
const BRANCHES: &[&str] = &[
    "role stops because its group is missing",
    "deliverer_left_to_agenda",
    "deliverer_held",
    "deliverer_deferred",
    "deliverer_reread",
    "deliverer_mended",
    "cleared on apns",
    "cleared on fcm",
    "rebuilt from what is carried",
    "device changes hands",
    "signalled",
    "told along with a post",
    "told along with a change",
    "deliverer_told_later",
    "deliverer_told_along",
    "fallback shown",
    "fetched before its fallback",
    "asked for no pushes",
    "gateway_redriven",
    "dead letters found at rest",
    "redelivery accepted",
    "redelivery suppressed",
    "redelivery asked for twice",
    "scheduler_displaced",
    "scheduler_swept",
];

/// The names of everything that enough runs must reach: every fault, and the branches that matter.
#[must_use]
pub fn expected_coverage() -> Vec<&'static str> {
    let faults = Fault::ALL.iter().map(|(_, _, name)| *name);
    faults.chain(BRANCHES.iter().copied()).collect()
}
