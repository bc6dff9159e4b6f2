//! The registered devices.

use campanile_api::Client;
use campanile_proto::v1;
use futures::{StreamExt, TryStreamExt, stream};

use crate::addresses::{address, devices, user_id};
use crate::error::LoadError;
use crate::plan::Plan;
use crate::scenario::Scenario;

/// Registrations under way at once.
const AT_ONCE: usize = 64;

/// The handles of all devices.
pub(crate) struct Registry {
    endpoints: usize,
    /// In the order of users, and of the devices of each.
    handles: Vec<String>,
}

impl Registry {
    /// Registers every device of `scenario`.
    ///
    /// # Errors
    /// [`LoadError::Call`].
    pub(crate) async fn fill(
        client: &Client,
        scenario: &Scenario,
        plan: &Plan,
    ) -> Result<Self, LoadError> {
        let calls = devices(scenario, plan).map(|(user, endpoint)| async move {
            let app = plan.app(user);
            let request = v1::RegisterEndpointRequest {
                app: app.to_owned(),
                user_id: user_id(user),
                installation_id: format!("device-{endpoint}"),
                address: Some(address(scenario, app, user, endpoint)),
                ..Default::default()
            };
            Ok::<_, LoadError>(client.register_endpoint(request).await?.unsid)
        });
        let handles = stream::iter(calls).buffered(AT_ONCE).try_collect().await?;
        Ok(Self { endpoints: scenario.endpoints, handles })
    }

    /// A device as the one who acts.
    pub(crate) fn handle(&self, user: usize, endpoint: usize) -> v1::Target {
        let handle = self.handles.get(user * self.endpoints + endpoint).cloned();
        v1::Target { target: Some(v1::target::Target::Unsid(handle.unwrap_or_default())) }
    }
}
