//! Devices that dismiss: each notification on one of its user's devices, once all of them show it.

use futures::{StreamExt, TryStreamExt};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_stream::wrappers::UnboundedReceiverStream;

use campanile_api::Client;
use campanile_proto::v1;

use crate::addresses::APP;
use crate::clearing::Dismissal;
use crate::error::LoadError;
use crate::ledger::{Ledger, Shown};
use crate::registry::Registry;
use crate::scenario::Scenario;

/// Dismissals under way at once.
const AT_ONCE: usize = 128;

/// Dismisses what is shown, until nobody tells any more.
///
/// # Errors
/// [`LoadError`] if a dismissal is refused.
pub(crate) async fn dismiss(
    client: &Client,
    scenario: &Scenario,
    ledger: &Ledger,
    registry: &Registry,
    shown: UnboundedReceiver<Shown>,
) -> Result<(), LoadError> {
    let shown = UnboundedReceiverStream::new(shown).map(Ok);
    let each = |it| one(client, scenario, ledger, registry, it);
    shown.try_for_each_concurrent(AT_ONCE, each).await
}

async fn one(
    client: &Client,
    scenario: &Scenario,
    ledger: &Ledger,
    registry: &Registry,
    Shown { number, id }: Shown,
) -> Result<(), LoadError> {
    let user = ledger.plan().user(number);
    let actor = actor(number, scenario.endpoints);
    let small = |number| u32::try_from(number).unwrap_or(u32::MAX);
    let dismissal = Dismissal { number: small(number), user: small(user), at: ledger.now() };
    ledger.clearing().dismiss(id, dismissal, audience(scenario, user, actor));
    let update = v1::StateUpdate {
        notification_id: format!("{id:032x}"),
        revision: None,
        read: None,
        action: Some(v1::UserAction::Dismissed.into()),
    };
    let request = v1::UpdateStateRequest {
        app: APP.to_owned(),
        target: Some(registry.handle(user, actor)),
        updates: vec![update],
    };
    let answer = client.update_state(request).await?;
    let refused = answer.results.into_iter().find_map(|result| match result.result {
        Some(v1::item_result::Result::Failure(failure)) => Some(failure.reason),
        _ => None,
    });
    match refused {
        Some(reason) => Err(LoadError::Refused { number, reason }),
        None => Ok(()),
    }
}

/// On which device: each in an order that has no step with the turns of users.
const fn actor(number: usize, endpoints: usize) -> usize {
    (number.wrapping_mul(2_654_435_761) >> 16) % endpoints
}

/// Who may hear of a dismissal, and who must, with a bit for each device. Of Apple's devices none
/// must: Apple allows a few silent pushes an hour for each.
fn audience(scenario: &Scenario, user: usize, actor: usize) -> (u32, u32) {
    let others = (0..scenario.endpoints).filter(|endpoint| *endpoint != actor);
    others.fold((0, 0), |(may, must), endpoint| {
        let bit = 1 << endpoint;
        (may | bit, if scenario.is_fcm(user, endpoint) { must | bit } else { must })
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]

    use super::*;

    #[test]
    fn everybody_but_the_actor_may_hear_of_it_and_androids_must() {
        let scenario = |percent| -> Scenario {
            toml::from_str(&format!(
                "about = \"x\"\nusers = 9\nendpoints = 4\nfcm_percent = {percent}\nrate = 1\n\
                 warm_up_seconds = 0\nseconds = 1\nrepeats = 1\ndismiss = true\n"
            ))
            .unwrap()
        };
        assert_eq!(audience(&scenario(100), 3, 1), (0b1101, 0b1101));
        assert_eq!(audience(&scenario(0), 3, 1), (0b1101, 0));
        // Of the first user's devices only the first is Android's then.
        assert_eq!(audience(&scenario(10), 0, 1), (0b1101, 0b0001));
    }

    #[test]
    fn every_device_acts() {
        let actors: std::collections::BTreeSet<_> = (0..100).map(|it| actor(it * 20, 5)).collect();
        assert_eq!(actors.len(), 5);
    }
}
