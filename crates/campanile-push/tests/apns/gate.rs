//! A wire that can be held: bytes from the server wait until it is let go, as on a network that
//! drops packets without telling anybody.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Forwards connections to a server.
pub(crate) struct Gate {
    pub(crate) address: SocketAddr,
    held: watch::Sender<bool>,
    _tasks: JoinSet<()>,
}

impl Gate {
    pub(crate) async fn before(server: SocketAddr) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), server).await
    }

    pub(crate) async fn at(address: SocketAddr, server: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (held, is_held) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut wires = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                wires.spawn(forward(client, server, is_held.clone()));
            }
        });
        Self { address, held, _tasks: tasks }
    }

    /// From now on nothing comes from the server.
    pub(crate) fn hold(&self) {
        self.held.send_replace(true);
    }

    /// What was held comes now.
    pub(crate) fn let_go(&self) {
        self.held.send_replace(false);
    }
}

async fn forward(client: TcpStream, server: SocketAddr, mut held: watch::Receiver<bool>) {
    let server = TcpStream::connect(server).await.unwrap();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = tokio::io::copy(&mut from_client, &mut to_server);
    let down = async {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
            if held.wait_for(|held| !held).await.is_err() {
                return;
            }
            if to_client.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        _ = up => {}
        () = down => {}
    }
}
