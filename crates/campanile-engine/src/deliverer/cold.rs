//! Users whom the worker does not know yet: their state is read from the projection.

use std::time::Duration;

use campanile_core::port::{PieceKey, ProjectionError, Views};
use campanile_core::{Offset, Partition};

use super::Parts;
use crate::planted::Bug;
use crate::tasks::sleep;

/// Reads pieces until the answer is at least as new as `needed`; the projection may be away, not
/// built, or behind.
pub(super) async fn load(
    parts: Parts,
    partition: Partition,
    keys: Vec<PieceKey>,
    needed: Offset,
) -> (Vec<PieceKey>, Views) {
    parts.telemetry.deliverer_pieces_read.add(keys.len());
    let mut wait = Duration::from_millis(1);
    // Where the projection is behind, it is asked how far it is until it is there, and for nothing
    // else: every answer before that is thrown away.
    let mut asked: &[PieceKey] = &keys;
    loop {
        match parts.projection.view(partition, asked).await {
            Ok(views) if views.checkpoint >= needed || parts.planted.has(Bug::StaleViewAsFresh) => {
                if asked.len() == keys.len() {
                    return (keys, views);
                }
                asked = &keys;
                continue;
            }
            Ok(_) | Err(ProjectionError::NotBuilt(_)) => asked = &[],
            Err(error) => tracing::warn!(%partition, %error, "projection unavailable"),
        }
        parts.telemetry.deliverer_view_waits.add(1);
        sleep(wait).await;
        wait = (wait * 2).min(Duration::from_millis(200));
    }
}
