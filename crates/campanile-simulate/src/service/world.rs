//! What an observer of the service can see: devices, connections, counts.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use super::Service;

/// Connections remembered after they closed; the oldest go first.
pub const CLOSED_CONNECTIONS: usize = 10_000;

/// Everything that can be observed, at one instant.
#[derive(Debug)]
pub struct World<S: Service> {
    pub(crate) devices: HashMap<Box<str>, S::Device>,
    pub(crate) connections: BTreeMap<u64, ConnectionStats>,
    pub(crate) totals: Totals,
}

/// Counts of requests. A request is in exactly one of `accepted`, `signed_in`, `rejected`, `refused`, `lost`
/// once it is dealt with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Streams opened by clients, without those opened after a GOAWAY.
    pub requests: u64,
    /// Pushes accepted for their device, whatever the client heard of it.
    pub accepted: u64,
    /// Senders that signed in by a request of its own.
    pub signed_in: u64,
    /// Requests answered with a status other than 200, scripted ones included.
    pub rejected: u64,
    /// Streams reset with `REFUSED_STREAM` for exceeding the stream limit.
    pub refused: u64,
    /// Pushes that a fault dropped unseen, those above the last stream of a GOAWAY included, and
    /// streams that ended before their body did.
    pub lost: u64,
    /// Accepted pushes that their device had before; also counted in `accepted`.
    pub duplicates: u64,
    /// Pushes repeated before the time that a scripted refusal had asked for was over. They are
    /// counted otherwise too.
    pub too_soon: u64,
    /// Accepted pushes or stalled streams that the client gave up before it had an answer.
    pub abandoned: u64,
}

/// Counts of the whole simulator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// The requests of all connections.
    pub counts: Counts,
    /// Rejections by reason.
    pub reasons: BTreeMap<Cow<'static, str>, u64>,
    /// Connections that completed their TLS handshake.
    pub connections_opened: u64,
    /// Connections that are gone.
    pub connections_closed: u64,
    /// Connections that did not get as far as HTTP/2.
    pub handshakes_failed: u64,
}

/// One connection of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionStats {
    /// Connections are numbered from 1.
    pub number: u64,
    /// The address of the client.
    pub peer: SocketAddr,
    /// The host name that the client asked for; if it named none, the service's first.
    pub host: Arc<str>,
    /// When it was opened, in milliseconds since the Unix epoch.
    pub opened_at_ms: u64,
    /// Whether it is still there.
    pub open: bool,
    /// The `SETTINGS_MAX_CONCURRENT_STREAMS` announced last.
    pub stream_limit: u32,
    /// Its requests.
    pub counts: Counts,
}

impl<S: Service> World<S> {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self { devices: HashMap::new(), connections: BTreeMap::new(), totals: Totals::default() }
    }

    /// The device of a name, such as its token.
    pub fn device(&self, name: &str) -> Option<&S::Device> {
        self.devices.get(&*S::key(name))
    }

    /// All devices with their keys, in no order.
    pub fn devices(&self) -> impl Iterator<Item = (&str, &S::Device)> {
        self.devices.iter().map(|(key, device)| (&**key, device))
    }

    /// Counts of the whole simulator.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// The requests of all connections.
    pub fn counts(&self) -> Counts {
        self.totals.counts
    }

    /// The connections in the order of their numbers: all open ones and the last
    /// [`CLOSED_CONNECTIONS`] closed ones.
    pub fn connections(&self) -> impl DoubleEndedIterator<Item = &ConnectionStats> {
        self.connections.values()
    }

    /// The connection of a number.
    pub fn connection(&self, number: u64) -> Option<&ConnectionStats> {
        self.connections.get(&number)
    }

    pub(crate) fn device_mut(&mut self, name: &str) -> Option<&mut S::Device> {
        self.devices.get_mut(&*S::key(name))
    }

    /// Counts a refusal under its reason.
    pub(crate) fn rejected(&mut self, connection: u64, reason: Cow<'static, str>) {
        self.count(connection, |counts| counts.rejected += 1);
        *self.totals.reasons.entry(reason).or_default() += 1;
    }

    /// Counts for a connection and for the whole.
    pub(crate) fn count(&mut self, connection: u64, add: impl Fn(&mut Counts)) {
        add(&mut self.totals.counts);
        if let Some(stats) = self.connections.get_mut(&connection) {
            add(&mut stats.counts);
        }
    }

    pub(crate) fn opened(&mut self, stats: ConnectionStats) {
        self.totals.connections_opened += 1;
        self.connections.insert(stats.number, stats);
    }

    pub(crate) fn limited(&mut self, connection: u64, streams: u32) {
        if let Some(stats) = self.connections.get_mut(&connection) {
            stats.stream_limit = streams;
        }
    }

    pub(crate) fn closed(&mut self, connection: u64) {
        self.totals.connections_closed += 1;
        if let Some(stats) = self.connections.get_mut(&connection) {
            stats.open = false;
        }
        if self.connections.len() > CLOSED_CONNECTIONS {
            let oldest = self.connections.values().find(|stats| !stats.open);
            if let Some(number) = oldest.map(|stats| stats.number) {
                self.connections.remove(&number);
            }
        }
    }
}
