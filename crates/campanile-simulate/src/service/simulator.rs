//! The handle of a running simulator, as its user holds it.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{broadcast, oneshot};
use tokio_rustls::TlsAcceptor;

use super::fault::{Fault, FaultId};
use super::server::Server;
use super::tls::{Identity, TlsError};
use super::world::{Counts, World};
use super::{DeviceChange, Serve, Service, Setup, Shared};

/// Why a simulator did not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// `Config::hosts` is empty: the certificate would be for nobody.
    #[error("hosts: at least one host name is needed")]
    NoHost,
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address of the configuration.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// There is no TLS identity.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// `start` was called outside a tokio runtime; `spawn_thread` brings its own.
    #[error("no tokio runtime to run on")]
    NoRuntime,
    /// The thread or its runtime could not be made.
    #[error("cannot start a thread for the simulator")]
    Thread(#[source] io::Error),
}

/// A condition did not come true in time.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the condition did not come true within {0:?}")]
pub struct TimedOut(Duration);

/// A running simulator. It stops when dropped.
#[derive(Debug)]
pub struct Simulator<S: Service> {
    addr: SocketAddr,
    ca_pem: String,
    pub(crate) shared: Arc<Shared<S>>,
    /// Dropping it is the signal to stop.
    stop: oneshot::Sender<()>,
    stopped: oneshot::Receiver<()>,
}

/// A bound simulator that does not serve yet.
struct Bound<S: Service> {
    simulator: Simulator<S>,
    server: Server<S>,
    listener: TcpListener,
    stop: oneshot::Receiver<()>,
    stopped: oneshot::Sender<()>,
}

/// Where a simulator runs.
pub(crate) enum On {
    /// On the tokio runtime of the caller.
    Runtime,
    /// On a thread with a runtime of its own.
    Thread,
}

impl<S: Service> Simulator<S> {
    pub(crate) fn launch(setup: Setup<S>, on: On) -> Result<Self, StartError>
    where
        S: Serve,
    {
        match on {
            On::Runtime => Self::launch_here(setup),
            On::Thread => Self::launch_thread(setup),
        }
    }

    fn launch_here(setup: Setup<S>) -> Result<Self, StartError>
    where
        S: Serve,
    {
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| StartError::NoRuntime)?;
        let bound = Bound::new(setup)?;
        let listener = {
            let _entered = runtime.enter();
            tokio::net::TcpListener::from_std(bound.listener).map_err(StartError::Thread)?
        };
        runtime.spawn(async move {
            bound.server.run(listener, bound.stop).await;
            drop(bound.stopped);
        });
        Ok(bound.simulator)
    }

    fn launch_thread(setup: Setup<S>) -> Result<Self, StartError>
    where
        S: Serve,
    {
        let bound = Bound::new(setup)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(StartError::Thread)?;
        let listener = {
            let _entered = runtime.enter();
            tokio::net::TcpListener::from_std(bound.listener).map_err(StartError::Thread)?
        };
        std::thread::Builder::new()
            .name(S::THREAD.into())
            .spawn(move || {
                runtime.block_on(bound.server.run(listener, bound.stop));
                drop(bound.stopped);
            })
            .map_err(StartError::Thread)?;
        Ok(bound.simulator)
    }

    /// Stops serving, drops every connection, and waits until that is done.
    pub async fn stop(self) {
        drop(self.stop);
        // Nothing is ever sent: the other end is dropped when serving has ended.
        let _ended = self.stopped.await;
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The certificate of the CA that clients must trust, as PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Adds a fault to the script. Faults are asked in the order in which they were added.
    pub fn inject(&self, fault: Fault<S::Rejection>) -> FaultId {
        let fault = fault.keyed(|name| S::key(name).into_owned());
        self.shared.rewrite(|script| script.add(fault))
    }

    /// Takes a fault out of the script. `false` if it was not there any more.
    pub fn lift(&self, fault: FaultId) -> bool {
        self.shared.rewrite(|script| script.lift(fault))
    }

    /// Takes all faults out of the script.
    pub fn lift_all(&self) {
        self.shared.rewrite(super::fault::Script::clear);
    }

    /// How often a fault has struck; `None` if it was lifted.
    pub fn struck(&self, fault: FaultId) -> Option<u64> {
        self.shared.state().script.struck(fault)
    }

    /// Looks at everything at one instant. The simulator waits meanwhile: be short, and do not
    /// call the simulator from inside.
    pub fn observe<R>(&self, look: impl FnOnce(&World<S>) -> R) -> R {
        look(&self.shared.state().world)
    }

    /// A copy of a device as it is now.
    pub fn device(&self, name: &str) -> Option<S::Device> {
        self.observe(|world| world.device(name).cloned())
    }

    /// The counts of all connections as they are now.
    pub fn counts(&self) -> Counts {
        self.observe(World::counts)
    }

    /// Waits until a condition holds. It is asked now and after every change, under the same rules
    /// as in [`Simulator::observe`].
    ///
    /// # Errors
    ///
    /// [`TimedOut`] if it does not hold within `limit`.
    pub async fn wait_until(
        &self,
        limit: Duration,
        mut condition: impl FnMut(&World<S>) -> bool,
    ) -> Result<(), TimedOut> {
        let mut version = self.shared.version.subscribe();
        let come_true = async {
            loop {
                version.mark_unchanged();
                if self.observe(&mut condition) {
                    return;
                }
                // The sender lives in `self`, so this only ends with a change.
                let _changed = version.changed().await;
            }
        };
        tokio::time::timeout(limit, come_true).await.map_err(|_| TimedOut(limit))
    }

    /// The changes of all devices from now on, in order. A subscriber that falls 4096 behind is
    /// told how many it missed.
    pub fn subscribe(&self) -> broadcast::Receiver<DeviceChange<S::Change>> {
        self.shared.changes.subscribe()
    }
}

impl<S: Serve> Bound<S> {
    fn new(setup: Setup<S>) -> Result<Self, StartError> {
        if setup.hosts.is_empty() {
            return Err(StartError::NoHost);
        }
        let address = setup.address;
        let hosts = setup.hosts.iter().map(|name| Arc::from(name.as_str())).collect();
        let identity = Identity::generate(setup.hosts.clone())?;
        let failed = |source| StartError::Listen { address, source };
        let listener = TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        let shared = Arc::new(Shared::new(setup));
        let (stop, stop_signal) = oneshot::channel();
        let (stopped_signal, stopped) = oneshot::channel();
        let tls = TlsAcceptor::from(identity.server);
        Ok(Self {
            server: Server { tls, hosts, shared: Arc::clone(&shared) },
            simulator: Simulator { addr, ca_pem: identity.ca_pem, shared, stop, stopped },
            listener,
            stop: stop_signal,
            stopped: stopped_signal,
        })
    }
}
