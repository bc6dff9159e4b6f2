//! The simulator as its user holds it.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{broadcast, oneshot};
use tokio_rustls::TlsAcceptor;

use super::check;
use super::config::Config;
use super::device::{Device, Registration, Remover};
use super::environment::Environment;
use super::fault::{Fault, FaultId};
use super::key::{KeyError, ProviderKey, SigningKey};
use super::server::Server;
use super::shared::{DeviceChange, Shared};
use super::tls::{Identity, TlsError};
use super::token::Key;
use super::world::{Counts, World};

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

/// A text that cannot be a device token.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("device token {0:?}: not an even number of hexadecimal digits, at most 512")]
pub struct InvalidToken(String);

/// A condition did not come true in time.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the condition did not come true within {0:?}")]
pub struct TimedOut(Duration);

/// A running simulator of APNs. It stops when dropped.
#[derive(Debug)]
pub struct Simulator {
    addr: SocketAddr,
    ca_pem: String,
    shared: Arc<Shared>,
    /// Dropping it is the signal to stop.
    stop: oneshot::Sender<()>,
    stopped: oneshot::Receiver<()>,
}

/// A bound simulator that does not serve yet.
struct Bound {
    simulator: Simulator,
    server: Server,
    listener: TcpListener,
    stop: oneshot::Receiver<()>,
    stopped: oneshot::Sender<()>,
}

impl Simulator {
    /// Starts a simulator on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// [`StartError`] if there is no runtime, or no listening on the configured address.
    pub fn start(config: Config) -> Result<Self, StartError> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| StartError::NoRuntime)?;
        let bound = Bound::new(config)?;
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

    /// Starts a simulator on a thread of its own with a runtime of its own: the fast way for load,
    /// and the way to keep its timers apart from a paused clock.
    ///
    /// # Errors
    ///
    /// [`StartError`] if there is no thread, or no listening on the configured address.
    pub fn spawn_thread(config: Config) -> Result<Self, StartError> {
        let bound = Bound::new(config)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(StartError::Thread)?;
        let listener = {
            let _entered = runtime.enter();
            tokio::net::TcpListener::from_std(bound.listener).map_err(StartError::Thread)?
        };
        std::thread::Builder::new()
            .name("apns-simulator".into())
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

    /// Registers a provider key; one with the same key id is replaced.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if the public key is not a P-256 key in PEM.
    pub fn register_key(&self, key: ProviderKey) -> Result<(), KeyError> {
        let key = Key::parse(key)?;
        self.shared.change(|state| state.keyring.insert(key));
        Ok(())
    }

    /// Generates a key pair for a team, registers its public half, and returns both.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if the cryptographic library fails.
    pub fn generate_key(&self, team_id: &str, key_id: &str) -> Result<SigningKey, KeyError> {
        let pair = SigningKey::generate(team_id, key_id)?;
        self.register_key(pair.public_key())?;
        Ok(pair)
    }

    /// Revokes a key: tokens signed with it are invalid at once, on open connections too. `false`
    /// if there is no such key.
    pub fn revoke_key(&self, key_id: &str) -> bool {
        self.shared.change(|state| state.keyring.revoke(key_id))
    }

    /// Registers an app of a team by its bundle id. The suffixes of the push types go with it.
    pub fn register_topic(&self, team_id: &str, bundle_id: &str) {
        self.shared.change(|state| {
            state.topics.entry(team_id.to_owned()).or_default().insert(bundle_id.to_owned());
        });
    }

    /// Registers a device token for an app in an environment. A device that had the token before is
    /// forgotten, with everything it showed.
    ///
    /// # Errors
    ///
    /// [`InvalidToken`] if the token is not hexadecimal.
    pub fn register_device(
        &self,
        token: &str,
        bundle_id: &str,
        environment: Environment,
    ) -> Result<(), InvalidToken> {
        if !check::is_device_token(token) {
            return Err(InvalidToken(token.to_owned()));
        }
        self.shared.change(|state| state.register_device(token, bundle_id, environment));
        Ok(())
    }

    /// Makes a device token good, unregistered or expired. `false` if there is no such device.
    pub fn set_registration(&self, token: &str, registration: Registration) -> bool {
        self.shared.change(|state| {
            let device = state.world.device_mut(token);
            device.map(|device| device.set_registration(registration)).is_some()
        })
    }

    /// Connects or disconnects a device. While it is offline, the service keeps only the newest
    /// push for it. `false` if there is no such device.
    pub fn set_online(&self, token: &str, online: bool) -> bool {
        let now_ms = self.shared.clock.now_ms();
        self.shared.change_device(token, |state| match state.world.device_mut(token) {
            Some(device) => (true, device.set_online(online, now_ms)),
            None => (false, Vec::new()),
        })
    }

    /// The user of a device takes a notification off the screen. `false` if it is not there.
    pub fn swipe(&self, token: &str, id: &str) -> bool {
        let now_ms = self.shared.clock.now_ms();
        self.shared.change_device(token, |state| {
            let device = state.world.device_mut(token);
            let change = device.and_then(|device| device.remove(id, Remover::User, now_ms));
            (change.is_some(), Vec::from_iter(change))
        })
    }

    /// Adds a fault to the script. Faults are asked in the order in which they were added.
    pub fn inject(&self, fault: Fault) -> FaultId {
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

    /// How many provider tokens had their signature checked. A token is checked once.
    pub fn signatures_checked(&self) -> u64 {
        self.shared.state().keyring.signatures()
    }

    /// Looks at everything at one instant. The simulator waits meanwhile: be short, and do not
    /// call the simulator from inside.
    pub fn observe<R>(&self, look: impl FnOnce(&World) -> R) -> R {
        look(&self.shared.state().world)
    }

    /// A copy of a device as it is now.
    pub fn device(&self, token: &str) -> Option<Device> {
        self.observe(|world| world.device(token).cloned())
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
        mut condition: impl FnMut(&World) -> bool,
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
    pub fn subscribe(&self) -> broadcast::Receiver<DeviceChange> {
        self.shared.changes.subscribe()
    }
}

impl Bound {
    fn new(config: Config) -> Result<Self, StartError> {
        if config.hosts.is_empty() {
            return Err(StartError::NoHost);
        }
        let names = config.hosts.iter().map(|(name, _)| name.clone()).collect();
        let identity = Identity::generate(names)?;
        let failed = |source| StartError::Listen { address: config.address, source };
        let listener = TcpListener::bind(config.address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        let shared = Arc::new(Shared::new(&config));
        let (stop, stop_signal) = oneshot::channel();
        let (stopped_signal, stopped) = oneshot::channel();
        Ok(Self {
            server: Server {
                tls: TlsAcceptor::from(identity.server),
                hosts: config.hosts.into(),
                shared: Arc::clone(&shared),
            },
            simulator: Simulator { addr, ca_pem: identity.ca_pem, shared, stop, stopped },
            listener,
            stop: stop_signal,
            stopped: stopped_signal,
        })
    }
}
