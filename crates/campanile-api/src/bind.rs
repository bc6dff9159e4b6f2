//! Where a server may listen.

use std::net::SocketAddr;

/// Why a server does not listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "refusing to listen on {address}: callers are not authenticated, so anybody who reaches it \
     could send as any app; listen on a loopback address, or set insecure_no_auth"
)]
pub struct Exposed {
    /// The address that others can reach.
    pub address: SocketAddr,
}

/// Whether a server that authenticates nobody may listen on `address`: on loopback always, beyond
/// it only if the operator said so.
///
/// # Errors
/// [`Exposed`].
pub fn may_listen(address: SocketAddr, insecure_no_auth: bool) -> Result<(), Exposed> {
    if insecure_no_auth || address.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    Err(Exposed { address })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_loopback_only_on_purpose() {
        for inside in ["127.0.0.1:7", "127.9.9.9:0", "[::1]:7", "[::ffff:127.0.0.1]:7"] {
            assert_eq!(may_listen(inside.parse().unwrap(), false), Ok(()), "{inside}");
        }
        for outside in ["0.0.0.0:7", "[::]:7", "10.0.0.1:7", "192.0.2.1:7", "[2001:db8::1]:7"] {
            let address = outside.parse().unwrap();
            assert_eq!(may_listen(address, false), Err(Exposed { address }), "{outside}");
            assert_eq!(may_listen(address, true), Ok(()), "{outside}");
        }
    }
}
