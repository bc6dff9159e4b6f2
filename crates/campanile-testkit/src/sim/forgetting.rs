//! State is carried forward, and the log loses its beginning to those who fold it.

use campanile_core::Offset;
use campanile_core::port::{Carried, EventLog};

use super::random::Random;
use super::roles::Ground;

/// Carries what is built forward, as it is now.
pub(crate) async fn carry(ground: &Ground) {
    let Ground { stage, logs, carried, .. } = ground;
    for partition in logs.events.identity().partitions() {
        // What is not built is not carried.
        if let Ok(as_of) = carried.carry(partition).await {
            stage.note(format_args!("carried {partition} up to {as_of}"));
        }
    }
}

/// Has the log lose its beginning, up to somewhere below what is carried.
pub(crate) async fn forget(ground: &Ground, random: &Random) {
    let Ground { stage, logs, carried, .. } = ground;
    for partition in logs.events.identity().partitions() {
        let Ok(Some(as_of)) = carried.as_of(partition).await else { continue };
        let most = usize::try_from(as_of.0).unwrap_or(usize::MAX - 1);
        let floor = Offset(random.index(most + 1) as u64);
        stage.note(format_args!("the log of {partition} begins at {floor}"));
        if floor > Offset(0) {
            stage.reach("rebuilt from what is carried");
        }
        logs.forget(partition, floor);
    }
}
