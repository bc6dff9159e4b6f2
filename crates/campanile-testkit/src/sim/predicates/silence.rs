//! Devices that get few silent pushes are sent few.

use std::collections::BTreeMap;

use campanile_core::{DeliveryKind, SilentBudget};

use crate::sim::past::{Past, Planned};
use crate::sim::provider::{Attempt, Said};
use crate::sim::roles::{Ground, SILENT};

/// No device is told of changes by more silent pushes than the budget within its window, as far as the
/// platform took them. A worker does not know what the one before it sent, so nothing is said across a
/// disturbance; nor of posts, which are sent to those who ask for signals, whatever was sent before.
pub(super) fn within_the_budget(ground: &Ground, past: &Past, attempts: &[Attempt]) {
    let mut sent: BTreeMap<_, Vec<&Attempt>> = BTreeMap::new();
    for attempt in attempts.iter().filter(|attempt| attempt.is_accepted) {
        let Some(planned) = past.planned.get(&attempt.delivery) else { continue };
        let is_change = planned.delivery.kind == DeliveryKind::Sync;
        if is_change && SilentBudget::binds(attempt.route.platform) {
            sent.entry(planned.delivery.endpoint).or_default().push(attempt);
        }
    }
    for (endpoint, sent) in sent {
        for some in sent.windows(SILENT.pushes as usize + 1) {
            let [first, .., last] = some else { continue };
            let is_soon = last.started < first.started.after(SILENT.window);
            if is_soon && !ground.stage.was_disturbed(first.started, last.started) {
                let what = format!("{endpoint} was told silently too often: {}", last.delivery);
                ground.stage.broken("silence", what);
            }
        }
    }
}

/// Whether a change may have waited because its device was sent something silently not long before. It
/// may have been told by that, too, and is sent by itself because that failed.
pub(super) fn may_have_waited(
    past: &Past,
    attempts: &[Attempt],
    planned: &Planned,
    late: &Attempt,
) -> bool {
    let is_change = planned.delivery.kind == DeliveryKind::Sync;
    let since =
        |it: &Attempt| it.started <= late.started && late.started < it.started.after(SILENT.window);
    let same = |it: &Attempt| {
        let other = past.planned.get(&it.delivery).map(|it| it.delivery.endpoint);
        it.delivery != late.delivery && other == Some(planned.delivery.endpoint)
    };
    is_change
        && SilentBudget::binds(late.route.platform)
        && attempts.iter().any(|it| it.said != Said::Show && since(it) && same(it))
}
