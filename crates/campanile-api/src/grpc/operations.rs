//! For operators: how the routes to the platforms fare.

use std::fmt;
use std::sync::Arc;

use campanile_engine::telemetry::{HoldReading, RouteReading};
use campanile_proto::v1::operations_server::Operations as Service;
use campanile_proto::{convert, v1};
use tonic::{Request, Response, Status};

use super::words;
use crate::context::context;
use crate::status::status;

/// Where the delivery workers of the process say how their routes fare.
pub type RouteReadings = Arc<dyn Fn() -> Vec<RouteReading> + Send + Sync>;

/// The service.
pub(crate) struct Operations {
    routes: RouteReadings,
}

impl Operations {
    pub(crate) const fn new(routes: RouteReadings) -> Self {
        Self { routes }
    }
}

impl fmt::Debug for Operations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operations").finish_non_exhaustive()
    }
}

#[tonic::async_trait]
impl Service for Operations {
    async fn list_routes(
        &self,
        request: Request<v1::ListRoutesRequest>,
    ) -> Result<Response<v1::ListRoutesResponse>, Status> {
        let context = context(&request, &request.get_ref().app).map_err(status)?;
        let routes = (self.routes)();
        let routes = routes.iter().filter(|reading| reading.route.app == context.app);
        Ok(Response::new(v1::ListRoutesResponse { routes: routes.map(reading).collect() }))
    }
}

fn reading(reading: &RouteReading) -> v1::RouteStatus {
    let RouteReading { route, hold, backlog_events, backlog_partitions } = reading;
    v1::RouteStatus {
        platform: convert::platform_to_wire(route.platform).into(),
        environment: convert::environment_to_wire(route.environment).into(),
        credential: route.credential.to_string(),
        hold: hold.as_ref().map(held),
        backlog_events: *backlog_events,
        backlog_partitions: *backlog_partitions,
    }
}

pub(super) fn held(hold: &HoldReading) -> v1::RouteHold {
    v1::RouteHold {
        why: convert::hold_to_wire(hold.why).into(),
        reason: hold.reason.clone(),
        since: Some(words::instant(hold.since)),
        next_try: Some(words::instant(hold.next_try)),
    }
}
