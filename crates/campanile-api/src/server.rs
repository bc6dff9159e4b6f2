//! Putting the services together and serving them, with every limit said.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use campanile_core::AppId;
use campanile_core::port::Entropy;
use campanile_engine::gateway::Gateway;
use campanile_engine::ingest::Ingest;
use campanile_engine::tasks::{self, Shutdown};
use campanile_proto::DESCRIPTORS;
use campanile_proto::v1::dead_letters_server::DeadLettersServer;
use campanile_proto::v1::endpoints_server::EndpointsServer;
use campanile_proto::v1::history_server::HistoryServer;
use campanile_proto::v1::inbox_server::InboxServer;
use campanile_proto::v1::notifications_server::NotificationsServer;
use campanile_proto::v1::operations_server::OperationsServer;
use futures::future::{Either, select};
use tokio::net::TcpListener;
use tonic::server::NamedService;
use tonic::service::{Routes, RoutesBuilder};
use tonic::transport::Server;
use tonic_health::server::HealthReporter;

use crate::admission::Admission;
use crate::bind::{Exposed, may_listen};
use crate::connection::accept;
use crate::grpc::{
    DeadLetters, Endpoints, History, Inbox, Notifications, Operations, RouteReadings,
};

/// The name under which health tells of the whole server.
const EVERYTHING: &str = "";

/// The limits of a server. The defaults suit one process on a small machine.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Listen beyond loopback although callers are not authenticated.
    pub insecure_no_auth: bool,
    /// Connections open at once; further ones wait to be accepted.
    pub connections: usize,
    /// Calls running at once on all connections; a further one is answered UNAVAILABLE.
    pub calls: usize,
    /// Calls running at once on one connection; a further one waits at the client.
    pub calls_per_connection: u32,
    /// How long the message of a call may take to arrive, unless the client streams several.
    pub arrive_within: Duration,
    /// Metadata of a call, in bytes as HTTP/2 counts them (RFC 9113, 6.5.2).
    pub header_bytes: u32,
    /// A request message, in bytes; a larger one is answered RESOURCE_EXHAUSTED.
    pub message_bytes: usize,
    /// What one call may send ahead of being read, in bytes.
    pub stream_window: u32,
    /// What all calls of one connection may send ahead of being read, in bytes.
    pub connection_window: u32,
    /// Calls that a client reset before they were looked at; more of them close the connection
    /// (CVE-2023-44487).
    pub pending_resets: usize,
    /// How often a quiet connection is asked whether it lives.
    pub ping_every: Duration,
    /// How long the answer may take.
    pub ping_timeout: Duration,
    /// How long calls may go on after the server was told to stop.
    pub drain: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            insecure_no_auth: false,
            connections: 10_000,
            calls: 20_000,
            calls_per_connection: 256,
            arrive_within: Duration::from_secs(10),
            header_bytes: 16 * 1024,
            message_bytes: 1024 * 1024,
            stream_window: 1024 * 1024,
            connection_window: 4 * 1024 * 1024,
            pending_resets: 32,
            ping_every: Duration::from_secs(30),
            ping_timeout: Duration::from_secs(10),
            drain: Duration::from_secs(20),
        }
    }
}

/// What a server serves: the services of the roles that are there.
#[derive(Clone)]
pub struct Services {
    /// For `Notifications`.
    pub ingest: Option<Arc<Ingest>>,
    /// For `Endpoints`, `Inbox`, `History` and `DeadLetters`.
    pub gateway: Option<Arc<Gateway>>,
    /// For `Operations`: how the routes of this process's workers fare.
    pub routes: RouteReadings,
    /// The tenants; a request for another one is answered NOT_FOUND.
    pub apps: Arc<BTreeSet<AppId>>,
    /// For request ids.
    pub entropy: Arc<dyn Entropy>,
}

/// Why a server did not serve, or did not stop well.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// It would be open to anybody.
    #[error(transparent)]
    Exposed(#[from] Exposed),
    /// The listening socket is broken.
    #[error("listening socket: {0}")]
    Socket(#[from] std::io::Error),
    /// The transport failed.
    #[error("transport: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// The description of the API cannot be served by reflection.
    #[error("reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// Calls were still running when the time to drain was over; they were cut off.
    #[error("calls were still running {0:?} after the server was told to stop")]
    NotDrained(Duration),
}

/// Serves until `shutdown` begins, and then until the running calls have ended. Streams are told
/// to resume elsewhere; a publish that is being written is answered.
///
/// # Errors
/// [`ServeError`]; nothing was accepted after [`ServeError::Exposed`].
pub async fn serve(
    config: ServerConfig,
    services: Services,
    listener: TcpListener,
    mut shutdown: Shutdown,
) -> Result<(), ServeError> {
    may_listen(listener.local_addr()?, config.insecure_no_auth)?;
    let (reporter, health) = tonic_health::server::health_reporter();
    let mut routes = Routes::builder();
    routes.add_service(health);
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
    routes.add_service(reflection.build_v1()?);
    let names = add_services(&mut routes, &config, &services, &shutdown);
    let Services { apps, entropy, .. } = services;
    let routes = Admission::new(routes.routes().prepare(), entropy, apps, &config);

    report(&reporter, &names, true).await;
    let connections = Box::pin(accept(listener, config.connections));
    let mut stop = shutdown.clone();
    let stopping = async move {
        stop.begun().await;
        report(&reporter, &names, false).await;
    };
    let served = transport(&config).serve_with_incoming_shutdown(routes, connections, stopping);
    let too_long = async {
        shutdown.begun().await;
        tasks::sleep(config.drain).await;
    };
    match select(pin!(served), pin!(too_long)).await {
        Either::Left((served, _)) => Ok(served?),
        Either::Right(_) => Err(ServeError::NotDrained(config.drain)),
    }
}

fn transport(config: &ServerConfig) -> Server {
    Server::builder()
        .max_concurrent_streams(config.calls_per_connection)
        .http2_max_header_list_size(config.header_bytes)
        .initial_stream_window_size(config.stream_window)
        .initial_connection_window_size(config.connection_window)
        .http2_max_pending_accept_reset_streams(Some(config.pending_resets))
        .http2_max_local_error_reset_streams(Some(config.pending_resets))
        .http2_keepalive_interval(Some(config.ping_every))
        .http2_keepalive_timeout(Some(config.ping_timeout))
}

/// Adds the services of the roles that are there, and tells their names.
fn add_services(
    routes: &mut RoutesBuilder,
    config: &ServerConfig,
    services: &Services,
    shutdown: &Shutdown,
) -> Vec<&'static str> {
    let mut names = vec![EVERYTHING];
    let limit = config.message_bytes;
    let service = OperationsServer::new(Operations::new(services.routes.clone()));
    let service = service.max_decoding_message_size(limit);
    names.push(name_of(&service));
    routes.add_service(service);
    if let Some(ingest) = &services.ingest {
        let service = Notifications::new(ingest.clone(), shutdown.clone());
        let service = NotificationsServer::new(service).max_decoding_message_size(limit);
        names.push(name_of(&service));
        routes.add_service(service);
    }
    if let Some(gateway) = &services.gateway {
        let service = EndpointsServer::new(Endpoints::new(gateway.clone()));
        let service = service.max_decoding_message_size(limit);
        names.push(name_of(&service));
        routes.add_service(service);
        let service = InboxServer::new(Inbox::new(gateway.clone(), shutdown.clone()));
        let service = service.max_decoding_message_size(limit);
        names.push(name_of(&service));
        routes.add_service(service);
        let service = DeadLettersServer::new(DeadLetters::new(gateway.clone()));
        let service = service.max_decoding_message_size(limit);
        names.push(name_of(&service));
        routes.add_service(service);
        let service = HistoryServer::new(History::new(gateway.clone(), services.routes.clone()));
        let service = service.max_decoding_message_size(limit);
        names.push(name_of(&service));
        routes.add_service(service);
    }
    names
}

const fn name_of<S: NamedService>(_service: &S) -> &'static str {
    S::NAME
}

/// Tells the health service how the services are. Those who watch their health are let go at the
/// end, because a watch would otherwise hold up the draining.
async fn report(reporter: &HealthReporter, names: &[&'static str], serving: bool) {
    use tonic_health::ServingStatus::{NotServing, Serving};
    for name in names {
        let status = if serving { Serving } else { NotServing };
        reporter.set_service_status(*name, status).await;
    }
    if !serving {
        for name in names {
            reporter.clone().clear_service_status(name).await;
        }
    }
}

impl std::fmt::Debug for Services {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (ingest, gateway) = (self.ingest.is_some(), self.gateway.is_some());
        let mut services = f.debug_struct("Services");
        services.field("ingest", &ingest).field("gateway", &gateway).field("apps", &self.apps);
        services.finish_non_exhaustive()
    }
}
