//! Making a connection: name, TCP, TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::config::{PoolConfig, Roots, Target, ZeroLimit};

/// A server that cannot be connected to, or only in vain.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// A limit of the pool lets nothing through.
    #[error(transparent)]
    Limit(#[from] ZeroLimit),
    /// The host is neither a DNS name nor an IP address.
    #[error("host {host:?} is no server name")]
    Host {
        /// The host.
        host: String,
    },
    /// The PEM text holds no certificate that can be a root.
    #[error("no usable root certificate: {reason}")]
    Roots {
        /// What is wrong with it.
        reason: String,
    },
    /// The TLS library has no common ground with itself.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// Why a connection was not made. All of these may pass.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    #[error("cannot resolve {host}: {source}")]
    Resolve { host: String, source: io::Error },
    #[error("{host} has no address")]
    NoAddress { host: String },
    #[error("cannot connect to {address}: {source}")]
    Connect { address: SocketAddr, source: io::Error },
    #[error("TLS with {address}: {source}")]
    Tls { address: SocketAddr, source: io::Error },
    #[error("{address} does not speak HTTP/2")]
    NotHttp2 { address: SocketAddr },
    #[error("no connection within {0:?}")]
    TimedOut(Duration),
}

/// Connects to one target.
pub(super) struct Dialer {
    target: Target,
    name: ServerName<'static>,
    tls: TlsConnector,
    timeout: Duration,
}

impl Dialer {
    pub(super) fn new(target: Target, config: &PoolConfig) -> Result<Self, TargetError> {
        config.check()?;
        let name = ServerName::try_from(target.host.clone())
            .map_err(|_| TargetError::Host { host: target.host.clone() })?;
        let tls = TlsConnector::from(Arc::new(tls(&target.roots)?));
        Ok(Self { target, name, tls, timeout: config.connect_timeout })
    }

    /// Connects. `turn` chooses among the addresses of the host, so that connections spread over
    /// them and a dead one is not tried forever.
    pub(super) async fn dial(&self, turn: usize) -> Result<TlsStream<TcpStream>, DialError> {
        match tokio::time::timeout(self.timeout, self.connect(turn)).await {
            Ok(result) => result,
            Err(_) => Err(DialError::TimedOut(self.timeout)),
        }
    }

    async fn connect(&self, turn: usize) -> Result<TlsStream<TcpStream>, DialError> {
        let address = self.resolve(turn).await?;
        let tcp = TcpStream::connect(address).await;
        let tcp = tcp.map_err(|source| DialError::Connect { address, source })?;
        // A request is one small write that nothing follows: waiting for more only delays it.
        tcp.set_nodelay(true).map_err(|source| DialError::Connect { address, source })?;
        let tls = self.tls.connect(self.name.clone(), tcp).await;
        let tls = tls.map_err(|source| DialError::Tls { address, source })?;
        if tls.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err(DialError::NotHttp2 { address });
        }
        Ok(tls)
    }

    /// Asks the resolver anew each time: Apple moves traffic between addresses and advises against
    /// caching them ("Sending notification requests to APNs").
    async fn resolve(&self, turn: usize) -> Result<SocketAddr, DialError> {
        if let Some(address) = self.target.address {
            return Ok(address);
        }
        let host = &self.target.host;
        let found = tokio::net::lookup_host((host.as_str(), self.target.port)).await;
        let found = found.map_err(|source| DialError::Resolve { host: host.clone(), source })?;
        let found: Vec<SocketAddr> = found.collect();
        let chosen = turn.checked_rem(found.len()).and_then(|at| found.get(at));
        chosen.copied().ok_or_else(|| DialError::NoAddress { host: host.clone() })
    }
}

fn tls(roots: &Roots) -> Result<ClientConfig, TargetError> {
    let mut store = RootCertStore::empty();
    match roots {
        Roots::Public => store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Roots::Pem(text) => {
            let unusable = |reason: String| TargetError::Roots { reason };
            for certificate in CertificateDer::pem_slice_iter(text.as_bytes()) {
                let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
                store.add(certificate).map_err(|error| unusable(error.to_string()))?;
            }
            if store.is_empty() {
                return Err(unusable("the text holds none".to_owned()));
            }
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = builder.with_root_certificates(store).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]

    use super::*;

    fn dialer(host: &str, roots: Roots) -> Result<Dialer, TargetError> {
        Dialer::new(Target { roots, ..Target::public(host) }, &PoolConfig::default())
    }

    #[test]
    fn public_roots_are_the_default() {
        assert!(dialer("api.push.apple.com", Roots::default()).is_ok());
    }

    #[test]
    fn a_host_that_is_no_name_is_refused() {
        let refused = dialer("not a name", Roots::Public).err().unwrap();
        assert_eq!(refused.to_string(), "host \"not a name\" is no server name");
    }

    #[test]
    fn roots_without_a_certificate_are_refused() {
        let refused = dialer("push.example", Roots::Pem("nothing".to_owned())).err().unwrap();
        assert_eq!(refused.to_string(), "no usable root certificate: the text holds none");
    }
}
