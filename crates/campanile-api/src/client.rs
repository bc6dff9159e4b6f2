//! A client of the API, for the command line, tests and load.

use std::time::Duration;

use campanile_proto::rpc::{self, BadRequest, ErrorInfo, RetryInfo};
use campanile_proto::v1;
use campanile_proto::v1::dead_letters_client::DeadLettersClient;
use campanile_proto::v1::endpoints_client::EndpointsClient;
use campanile_proto::v1::history_client::HistoryClient;
use campanile_proto::v1::inbox_client::InboxClient;
use campanile_proto::v1::notifications_client::NotificationsClient;
use campanile_proto::v1::operations_client::OperationsClient;
use futures::Stream;
use prost::Message;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// How much may arrive ahead of being read, on a stream and on the connection.
const WINDOW: u32 = 1024 * 1024;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is none.
    #[error("server address: {0}")]
    Address(#[source] tonic::transport::Error),
    /// The server cannot be reached.
    #[error("cannot reach the server: {0}")]
    Connect(#[source] tonic::transport::Error),
    /// The server refused, or the connection broke.
    #[error("{message}")]
    Refused {
        /// The gRPC code.
        code: Code,
        /// What the server said.
        message: String,
        /// The kind of failure, in a word that never changes; empty if the server said none.
        kind: String,
        /// The field at fault, if one is.
        field: Option<String>,
        /// How long to wait before trying again, if that can help.
        retry_after: Option<Duration>,
    },
}

impl From<Status> for ClientError {
    fn from(status: Status) -> Self {
        let details = rpc::Status::decode(status.details()).unwrap_or_default();
        let violations = details.detail::<BadRequest>().map(|bad| bad.field_violations);
        let first = violations.and_then(|violations| violations.into_iter().next());
        let delay = details.detail::<RetryInfo>().and_then(|retry| retry.retry_delay);
        Self::Refused {
            code: status.code(),
            message: status.message().to_owned(),
            kind: details.detail::<ErrorInfo>().map(|info| info.reason).unwrap_or_default(),
            field: first.map(|violation| violation.field),
            retry_after: delay.and_then(|delay| Duration::try_from(delay).ok()),
        }
    }
}

/// Calls a server. Clones share one connection, which is made anew when it breaks.
#[derive(Clone, Debug)]
pub struct Client {
    channel: Channel,
}

macro_rules! calls {
    ($($(#[$doc:meta])* $client:ident.$call:ident($request:ident) -> $answer:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// [`ClientError`].
        pub async fn $call(
            &self,
            request: impl Into<v1::$request>,
        ) -> Result<v1::$answer, ClientError> {
            let mut client = $client::new(self.channel.clone());
            Ok(client.$call(Request::new(request.into())).await?.into_inner())
        }
    )*};
}

impl Client {
    /// Connects to a server, e.g. `http://127.0.0.1:8640`.
    ///
    /// # Errors
    /// [`ClientError`] if the address is none, or nobody answers there within five seconds.
    pub async fn connect(address: &str) -> Result<Self, ClientError> {
        let endpoint = Endpoint::from_shared(address.to_owned()).map_err(ClientError::Address)?;
        let endpoint = endpoint
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(4 * WINDOW);
        let channel = endpoint.connect().await.map_err(ClientError::Connect)?;
        Ok(Self { channel })
    }

    calls! {
        /// Posts one notification; the answer means that it is durable.
        NotificationsClient.publish(PublishRequest) -> PublishResponse;
        /// Takes a notification back.
        NotificationsClient.recall(RecallRequest) -> RecallResponse;
        /// Takes back everything that carries a campaign's name.
        NotificationsClient.recall_campaign(RecallCampaignRequest) -> RecallCampaignResponse;
        /// How the routes of an app fare.
        OperationsClient.list_routes(ListRoutesRequest) -> ListRoutesResponse;
        /// Deliveries that failed.
        DeadLettersClient.list_dead_letters(ListDeadLettersRequest) -> ListDeadLettersResponse;
        /// Asks for deliveries that failed once more.
        DeadLettersClient.redrive_dead_letters(RedriveDeadLettersRequest)
            -> RedriveDeadLettersResponse;
        /// Registers an app installation, or its new address.
        EndpointsClient.register_endpoint(RegisterEndpointRequest) -> RegisterEndpointResponse;
        /// Extends the lease of a registration.
        EndpointsClient.renew_endpoint(RenewEndpointRequest) -> RenewEndpointResponse;
        /// Ends an endpoint.
        EndpointsClient.retire_endpoint(RetireEndpointRequest) -> RetireEndpointResponse;
        /// A user's endpoints.
        EndpointsClient.list_endpoints(ListEndpointsRequest) -> ListEndpointsResponse;
        /// The app's retired endpoints, as they come.
        EndpointsClient.list_retired_endpoints(ListRetiredEndpointsRequest)
            -> ListRetiredEndpointsResponse;
        /// A page of a user's notifications.
        InboxClient.list_notifications(ListNotificationsRequest) -> ListNotificationsResponse;
        /// What changed since a cursor.
        InboxClient.sync(SyncRequest) -> SyncResponse;
        /// Records what the user did.
        InboxClient.update_state(UpdateStateRequest) -> UpdateStateResponse;
        /// Dismisses everything up to a cursor.
        InboxClient.dismiss_all(DismissAllRequest) -> DismissAllResponse;
        /// Deletes notifications.
        InboxClient.delete_notifications(DeleteNotificationsRequest) -> DeleteNotificationsResponse;
        /// Every event and receipt of a notification.
        HistoryClient.get_timeline(GetTimelineRequest) -> GetTimelineResponse;
        /// A notification as it was at an instant.
        HistoryClient.get_state_at(GetStateAtRequest) -> GetStateAtResponse;
        /// What became of every delivery of a notification.
        HistoryClient.get_outcomes(GetOutcomesRequest) -> GetOutcomesResponse;
        /// Why a notification rang where it did, and why not elsewhere.
        HistoryClient.explain(ExplainRequest) -> ExplainResponse;
    }

    /// Posts many: one answer per message, in order. Messages may be sent ahead of the answers;
    /// the stream ends after the answer to the last message.
    ///
    /// # Errors
    /// [`ClientError`] if the stream cannot be opened; it may still fail later.
    pub async fn publish_stream(
        &self,
        messages: impl Stream<Item = v1::PublishStreamRequest> + Send + 'static,
    ) -> Result<Streaming<v1::PublishStreamResponse>, ClientError> {
        let mut client = NotificationsClient::new(self.channel.clone());
        Ok(client.publish_stream(messages).await?.into_inner())
    }

    /// Follows a user's notifications live.
    ///
    /// # Errors
    /// [`ClientError`] if the stream cannot be opened; it may still fail later.
    pub async fn watch(
        &self,
        request: v1::WatchRequest,
    ) -> Result<Streaming<v1::WatchResponse>, ClientError> {
        let mut client = InboxClient::new(self.channel.clone());
        Ok(client.watch(request).await?.into_inner())
    }
}
