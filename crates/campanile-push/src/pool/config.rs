//! Where a pool connects to, and how much of everything it may use.

use std::net::SocketAddr;
use std::time::Duration;

/// Whose signature under a server's certificate counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Roots {
    /// The certificate authorities that browsers trust.
    #[default]
    Public,
    /// Only the certificates in this PEM text: a simulator's, or a test's.
    Pem(String),
}

/// The server behind a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The name in requests, in SNI, and the one the certificate must be for.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// Where to connect instead of where the host's name leads.
    pub address: Option<SocketAddr>,
    /// Who vouches for the server.
    pub roots: Roots,
}

impl Target {
    /// The server that `host` is publicly known as, on the port for HTTPS.
    #[must_use]
    pub fn public(host: &str) -> Self {
        Self { host: host.to_owned(), port: 443, address: None, roots: Roots::Public }
    }

    /// The authority in request URIs: without the port if it is the one for HTTPS.
    pub(crate) fn authority(&self) -> String {
        match self.port {
            443 => self.host.clone(),
            port => format!("{}:{port}", self.host),
        }
    }
}

/// The limits of a pool. Every one is reached gracefully: callers wait, or hear of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolConfig {
    /// Connections at most; they are opened one after the other, when there is no room.
    pub connections: usize,
    /// Requests in flight on one connection at most, should the server allow more. With the
    /// default number of connections this is 4000 in flight: at 50 ms an answer, 80,000 a second.
    pub streams_per_connection: usize,
    /// For name lookup, TCP and TLS together.
    pub connect_timeout: Duration,
    /// From handing over a request until its answer is complete.
    pub request_timeout: Duration,
    /// For room to appear.
    pub room_timeout: Duration,
    /// A connection that brought no answer for this long is asked whether it lives.
    pub ping_after: Duration,
    /// How long it may think about that.
    pub ping_timeout: Duration,
    /// The wait after a first failed connection; it doubles with each further one.
    pub first_backoff: Duration,
    /// The longest wait between attempts to connect.
    pub longest_backoff: Duration,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            connections: 4,
            streams_per_connection: 1000,
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(15),
            room_timeout: Duration::from_secs(10),
            ping_after: Duration::from_secs(60),
            ping_timeout: Duration::from_secs(10),
            first_backoff: Duration::from_millis(200),
            longest_backoff: Duration::from_secs(30),
        }
    }
}

/// A limit that lets nothing through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("pool: {field} must be more than zero")]
pub struct ZeroLimit {
    /// Which field of [`PoolConfig`].
    pub field: &'static str,
}

impl PoolConfig {
    /// Whether anything can be sent within these limits.
    ///
    /// # Errors
    /// [`ZeroLimit`] names the first field that is zero.
    pub(super) fn check(&self) -> Result<(), ZeroLimit> {
        let zeroes = [
            ("connections", self.connections == 0),
            ("streams_per_connection", self.streams_per_connection == 0),
            ("connect_timeout", self.connect_timeout.is_zero()),
            ("request_timeout", self.request_timeout.is_zero()),
            ("room_timeout", self.room_timeout.is_zero()),
            ("ping_after", self.ping_after.is_zero()),
            ("ping_timeout", self.ping_timeout.is_zero()),
            ("first_backoff", self.first_backoff.is_zero()),
            ("longest_backoff", self.longest_backoff.is_zero()),
        ];
        match zeroes.iter().find(|(_, zero)| *zero) {
            Some((field, _)) => Err(ZeroLimit { field }),
            None => Ok(()),
        }
    }

    /// The wait before the next attempt to connect, after `failures` in a row.
    pub(super) fn backoff(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        self.first_backoff.saturating_mul(1 << doublings).min(self.longest_backoff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_zero_is_named() {
        assert_eq!(PoolConfig::default().check(), Ok(()));
        let config = PoolConfig { ping_after: Duration::ZERO, ..PoolConfig::default() };
        assert_eq!(config.check(), Err(ZeroLimit { field: "ping_after" }));
        let config = PoolConfig { connections: 0, ..PoolConfig::default() };
        let text = "pool: connections must be more than zero";
        assert_eq!(config.check().map_err(|it| it.to_string()), Err(text.to_owned()));
    }

    #[test]
    fn backoff_doubles_up_to_its_limit() {
        let config = PoolConfig::default();
        let waits: Vec<u128> = (1..=4).map(|n| config.backoff(n).as_millis()).collect();
        assert_eq!(waits, [200, 400, 800, 1600]);
        assert_eq!(config.backoff(9), Duration::from_secs(30));
        assert_eq!(config.backoff(u32::MAX), Duration::from_secs(30));
    }

    #[test]
    fn authority_names_an_unusual_port() {
        let mut target = Target::public("push.example");
        assert_eq!(target.authority(), "push.example");
        target.port = 2197;
        assert_eq!(target.authority(), "push.example:2197");
    }
}
