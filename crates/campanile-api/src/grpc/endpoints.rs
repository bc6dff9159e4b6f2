//! For app installations: where a user can be reached.

use std::sync::Arc;

use campanile_core::{Endpoint, EndpointId, Tombstone};
use campanile_engine::gateway::{Gateway, Register, Retire, RetiredEndpoint};
use campanile_proto::convert::{self, Violation};
use campanile_proto::v1;
use campanile_proto::v1::endpoints_server::Endpoints as Service;
use tonic::{Request, Response, Status};

use super::words;
use crate::context::context;
use crate::status::status;

const PAGE: usize = 100;

/// The service.
#[derive(Debug)]
pub(crate) struct Endpoints {
    gateway: Arc<Gateway>,
}

impl Endpoints {
    pub(crate) const fn new(gateway: Arc<Gateway>) -> Self {
        Self { gateway }
    }
}

#[tonic::async_trait]
impl Service for Endpoints {
    async fn register_endpoint(
        &self,
        request: Request<v1::RegisterEndpointRequest>,
    ) -> Result<Response<v1::RegisterEndpointResponse>, Status> {
        let context = context(&request, &request.get_ref().app).map_err(status)?;
        let register = register(request.into_inner()).map_err(status)?;
        let registered = self.gateway.register(&context, register).await.map_err(status)?;
        Ok(Response::new(v1::RegisterEndpointResponse {
            unsid: registered.unsid,
            endpoint_id: registered.endpoint.to_string(),
            expires_at: Some(words::instant(registered.expires_at)),
        }))
    }

    async fn renew_endpoint(
        &self,
        request: Request<v1::RenewEndpointRequest>,
    ) -> Result<Response<v1::RenewEndpointResponse>, Status> {
        let context = context(&request, &request.get_ref().app).map_err(status)?;
        let v1::RenewEndpointRequest { unsid, lease_seconds, .. } = request.into_inner();
        let lease = lease_seconds.map(convert::lease).transpose().map_err(status)?;
        let renewed = self.gateway.renew(&context, &unsid, lease).await.map_err(status)?;
        Ok(Response::new(v1::RenewEndpointResponse {
            unsid: renewed.unsid,
            expires_at: Some(words::instant(renewed.expires_at)),
        }))
    }

    async fn retire_endpoint(
        &self,
        request: Request<v1::RetireEndpointRequest>,
    ) -> Result<Response<v1::RetireEndpointResponse>, Status> {
        let context = context(&request, &request.get_ref().app).map_err(status)?;
        let which = retired(request.into_inner().endpoint).map_err(status)?;
        self.gateway.retire(&context, which).await.map_err(status)?;
        Ok(Response::new(v1::RetireEndpointResponse {}))
    }

    async fn list_endpoints(
        &self,
        request: Request<v1::ListEndpointsRequest>,
    ) -> Result<Response<v1::ListEndpointsResponse>, Status> {
        let context = context(&request, &request.get_ref().app).map_err(status)?;
        let target = words::target(request.into_inner().target).map_err(status)?;
        let reach = self.gateway.endpoints(&context, &target).await.map_err(status)?;
        Ok(Response::new(v1::ListEndpointsResponse {
            endpoints: reach.endpoints.iter().map(endpoint).collect(),
            retired: reach.tombstones.iter().map(tombstone).collect(),
        }))
    }

    async fn list_retired_endpoints(
        &self,
        request: Request<v1::ListRetiredEndpointsRequest>,
    ) -> Result<Response<v1::ListRetiredEndpointsResponse>, Status> {
        let context = context(&request, &request.get_ref().app).map_err(status)?;
        let v1::ListRetiredEndpointsRequest { cursor, limit, .. } = request.into_inner();
        let limit = convert::page_size("limit", limit, PAGE).map_err(status)?;
        let cursor = (!cursor.is_empty()).then_some(cursor.as_str());
        let page = self.gateway.retired(&context, cursor, limit).await.map_err(status)?;
        Ok(Response::new(v1::ListRetiredEndpointsResponse {
            endpoints: page.endpoints.iter().map(retired_endpoint).collect(),
            cursor: page.cursor,
            more: page.more,
        }))
    }
}

fn retired_endpoint(retired: &RetiredEndpoint) -> v1::RetiredEndpoint {
    v1::RetiredEndpoint {
        endpoint_id: retired.endpoint.to_string(),
        reason: convert::retire_to_wire(retired.reason).into(),
        retired_at: Some(words::instant(retired.time)),
    }
}

fn register(wire: v1::RegisterEndpointRequest) -> Result<Register, Violation> {
    convert::name("installation_id", &wire.installation_id)?;
    Ok(Register {
        user: convert::user_id("user_id", &wire.user_id)?,
        installation: wire.installation_id,
        address: convert::address(wire.address)?,
        style: convert::push_style(wire.push_style)?,
        lease: wire.lease_seconds.map(convert::lease).transpose()?,
    })
}

fn retired(wire: Option<v1::retire_endpoint_request::Endpoint>) -> Result<Retire, Violation> {
    use v1::retire_endpoint_request::Endpoint as Wire;
    match wire {
        Some(Wire::Unsid(unsid)) => Ok(Retire::Unsid(unsid)),
        Some(Wire::Installation(v1::Installation { user_id, installation_id })) => {
            convert::name("installation.installation_id", &installation_id)?;
            let user = convert::user_id("installation.user_id", &user_id)?;
            Ok(Retire::Installation { user, installation: installation_id })
        }
        None => Err(Violation::new("endpoint", "must be an unsid or an installation")),
    }
}

fn endpoint((id, endpoint): (&EndpointId, &Endpoint)) -> v1::Endpoint {
    v1::Endpoint {
        endpoint_id: id.to_string(),
        address: Some(convert::address_to_wire(&endpoint.address)),
        registered_at: Some(words::instant(endpoint.registered_at)),
        lease_until: Some(words::instant(endpoint.lease_until)),
        push_style: convert::style_to_wire(endpoint.style).into(),
    }
}

fn tombstone((id, tombstone): (&EndpointId, &Tombstone)) -> v1::RetiredEndpoint {
    v1::RetiredEndpoint {
        endpoint_id: id.to_string(),
        reason: convert::retire_to_wire(tombstone.reason).into(),
        retired_at: Some(words::instant(tombstone.time)),
    }
}
