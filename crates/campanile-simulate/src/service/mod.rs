//! What all simulated push services have in common: TLS, HTTP/2, scripted faults, counts, and the
//! handle by which a test holds a running one.
//!
//! A service says in [`Service`] what it is made of and in [`Serve`] how it judges a request;
//! nothing here knows which one it is.

mod body;
mod connection;
mod control;
mod fault;
mod frame;
mod server;
mod settings;
mod shared;
mod simulator;
mod streams;
mod tap;
mod tls;
mod waiting;
mod wire;
mod world;

use std::borrow::Cow;
use std::fmt::Debug;
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use http::request::Parts;

pub use fault::{Action, Fate, Fault, FaultId, When};
pub use settings::{Recording, StreamLimits};
pub use shared::DeviceChange;
pub use simulator::{Simulator, StartError, TimedOut};
pub use tap::{Accepted, Tap};
pub use tls::TlsError;
pub use world::{CLOSED_CONNECTIONS, ConnectionStats, Counts, Totals, World};

pub(crate) use settings::Setup;
pub(crate) use shared::{Shared, State};
pub(crate) use simulator::On;

/// What a simulated push service is made of.
pub trait Service: Debug + Send + Sized + 'static {
    /// An app installation.
    type Device: Clone + Debug + Send;
    /// What can happen to one.
    type Change: Clone + Debug + Send;
    /// How the service refuses a request.
    type Rejection: Clone + Debug + PartialEq + Send;

    /// The key of the device that goes by a name.
    fn key(name: &str) -> Cow<'_, str>;
}

/// How a service serves.
pub(crate) trait Serve: Service {
    /// The name of its thread.
    const THREAD: &'static str;
    /// Of a longer body no more is read: it is refused for its length anyway.
    const BODY_LIMIT: usize;
    /// What one connection is bound to.
    type Session: Send;
    /// What a request came to.
    type Verdict: Verdict;

    /// A new connection, by a client that asked for `host`.
    fn session(&self, host: &str) -> Self::Session;

    /// What a request is about, for the script.
    fn subject<'a>(parts: &'a Parts, body: &'a Bytes) -> Subject<'a>;

    /// What a push and its repetition have in common, for each device; `None` if it has no name.
    fn repeated<'a>(parts: &'a Parts, body: &'a Bytes) -> Option<Cow<'a, str>>;

    /// How long a refusal asks the sender to wait before it repeats the push.
    fn wait(rejection: &Self::Rejection) -> Option<Duration>;

    /// Accepts and carries out a request, or refuses it; counts both.
    fn judge(
        shared: &Shared<Self>,
        session: &mut Self::Session,
        request: &Asked<'_>,
    ) -> Self::Verdict;

    /// Counts a refusal by the script, and makes the answer.
    fn reject(
        shared: &Shared<Self>,
        request: &Asked<'_>,
        rejection: Self::Rejection,
    ) -> Self::Verdict;
}

/// A complete request.
pub(crate) struct Asked<'a> {
    /// The number of the connection it came over.
    pub(crate) connection: u64,
    pub(crate) parts: &'a Parts,
    pub(crate) body: &'a Bytes,
}

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject<'a> {
    /// A push to the device of this name; empty if it names none.
    Push(Cow<'a, str>),
    /// The sender's proof of who it is, as a request of its own.
    SignIn,
}

pub(crate) type Respond = SendResponse<Bytes>;

/// What a request came to, and how that goes over the wire.
pub(crate) trait Verdict: Send + 'static {
    /// Whether the request was accepted.
    fn accepted(&self) -> bool;

    /// Sends the answer.
    ///
    /// # Errors
    ///
    /// The client has reset the stream meanwhile.
    fn send(self, respond: &mut Respond) -> Result<(), h2::Error>;
}
