//! G4: what failed can be found, all of it and each once.

use campanile_core::{DeliveryId, Offset, Partition};
use campanile_engine::gateway::DeadLetterFilter;

use crate::sim::clients::Clients;
use crate::sim::past::Past;
use crate::sim::roles::Ground;

/// Letters of a page: few, so that there are many pages.
const PAGE: usize = 2;

/// Whoever pages through the dead letters at rest finds those that the receipts tell of.
///
/// A clock that was ahead may have put down times that are yet to come; then nothing is said.
pub(super) async fn are_found(ground: &Ground, clients: &Clients, past: &Past) {
    let Some(front) = clients.front() else { return };
    if ground.stage.latest() > ground.stage.now() {
        return;
    }
    let (context, filter) = (clients.context_at_rest(), DeadLetterFilter::default());
    let (mut found, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let gateway = &front.gateway;
        let page = match gateway.dead_letters(&context, &filter, cursor.as_deref(), PAGE).await {
            Ok(page) => page,
            Err(error) => return ground.stage.broken("G4", format!("dead letters: {error}")),
        };
        found.extend(page.letters.iter().map(|letter| {
            (letter.position.partition, letter.position.offset, letter.settled.delivery)
        }));
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    let dead = past.receipts.iter().flat_map(|(partition, offset, receipt)| {
        let dead = receipt.settled.iter().filter(|settled| settled.dead().is_some());
        dead.map(|settled| (*partition, *offset, settled.delivery))
    });
    let mut expected: Vec<(Partition, Offset, DeliveryId)> = dead.collect();
    expected.sort();
    found.sort();
    if !expected.is_empty() {
        ground.stage.reach("dead letters found at rest");
    }
    if found != expected {
        let what = format!("dead letters are {found:?}, not {expected:?}");
        ground.stage.broken("G4", what);
    }
}
