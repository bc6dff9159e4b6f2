//! The stream of an app's retired endpoints: followed from a cursor, as long as the log reaches back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test code"
)]

mod tower;

use std::time::Duration;

use campanile_api::ClientError;
use campanile_core::Offset;
use campanile_core::port::{Clock as _, LogAdmin as _};
use campanile_proto::v1;
use tonic::Code;

use tower::{APP, Tower, eventually};

async fn retired(
    tower: &Tower,
    cursor: &str,
) -> Result<v1::ListRetiredEndpointsResponse, ClientError> {
    let (app, cursor) = (APP.into(), cursor.to_owned());
    let request = v1::ListRetiredEndpointsRequest { app, cursor, limit: None };
    tower.client.list_retired_endpoints(request).await
}

/// Registers an installation and retires it; answers its endpoint.
async fn come_and_go(tower: &Tower, installation: &str) -> String {
    let registered = tower.register(installation).await;
    let which = v1::retire_endpoint_request::Endpoint::Unsid(registered.unsid);
    let request = v1::RetireEndpointRequest { app: APP.into(), endpoint: Some(which) };
    tower.client.retire_endpoint(request).await.unwrap();
    registered.endpoint_id
}

/// Everything since a cursor, once there is something.
async fn some(tower: &Tower, cursor: &str) -> v1::ListRetiredEndpointsResponse {
    eventually(|| async {
        let page = retired(tower, cursor).await.unwrap();
        (!page.endpoints.is_empty()).then_some(page)
    })
    .await
}

#[tokio::test]
async fn a_cursor_goes_on_where_it_was_until_the_log_has_dropped_that() {
    let tower = Tower::start().await;
    let phone = come_and_go(&tower, "phone").await;
    let first = some(&tower, "").await;
    assert_eq!(first.endpoints[0].endpoint_id, phone);
    assert_eq!(retired(&tower, &first.cursor).await.unwrap().endpoints, []);

    let laptop = come_and_go(&tower, "laptop").await;
    let second = some(&tower, &first.cursor).await;
    assert_eq!(second.endpoints.len(), 1);
    assert_eq!(second.endpoints[0].endpoint_id, laptop);

    tower.clock.advance(Duration::from_secs(3600));
    let tablet = come_and_go(&tower, "tablet").await;
    let (minute, all) = (Duration::from_secs(60), [Offset(u64::MAX); 4]);
    tower.events.retain(minute, tower.clock.now(), &all).await.unwrap();
    let Err(ClientError::Refused { code, .. }) = retired(&tower, &first.cursor).await else {
        panic!("a cursor from before what is kept")
    };
    assert_eq!(code, Code::OutOfRange);
    let third = some(&tower, &second.cursor).await;
    assert_eq!(third.endpoints[0].endpoint_id, tablet);
    let kept = some(&tower, "").await;
    assert_eq!(kept.endpoints.len(), 1, "what the log has dropped is not told");
}
