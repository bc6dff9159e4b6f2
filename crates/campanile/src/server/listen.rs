//! Where a server listens.

use std::io;
use std::net::{SocketAddr, TcpListener};

use tokio::net::TcpSocket;

use crate::exit::{Failure, Kind};

/// Connections that may wait to be accepted; the system may allow fewer. What finds no room is tried
/// again after a second, then after two more, so a storm of reconnects must fit in.
const WAITING: u32 = 4096;

/// Listens at the address of a setting. Needs a tokio runtime around it.
///
/// # Errors
/// [`Failure`] naming the setting.
pub(super) fn listen(setting: &str, address: SocketAddr) -> Result<TcpListener, Failure> {
    let failed = |error: std::io::Error| {
        let reason = match error.kind() {
            std::io::ErrorKind::AddrInUse => "another process listens there".to_owned(),
            _ => error.to_string(),
        };
        Failure::new(Kind::Config, format_args!("{setting}: {address}: {reason}"))
    };
    bind(address).map_err(failed)
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A server that starts again must not wait for the connections of the one before. On Windows it
    // need not, and the option means something else.
    socket.set_reuseaddr(cfg!(unix))?;
    socket.bind(address)?;
    socket.listen(WAITING)?.into_std()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]

    use std::net::TcpStream;
    use std::time::Duration;

    use super::*;

    /// After a restart every device connects at once.
    #[tokio::test]
    async fn a_storm_of_connections_has_room_to_wait() {
        let bound = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
        let many = bound.trim().parse::<usize>().unwrap().min(600);
        let listener = listen("serve.listen", "127.0.0.1:0".parse().unwrap());
        let listener = listener.unwrap_or_else(|failure| panic!("{}", failure.message));
        let address = listener.local_addr().unwrap();
        let connect = |_| TcpStream::connect_timeout(&address, Duration::from_millis(900));
        let waiting: Result<Vec<_>, _> = (0..many).map(connect).collect();
        assert_eq!(waiting.unwrap().len(), many, "nobody has accepted any");
    }
}
