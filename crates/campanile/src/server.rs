//! A server: the configured roles in one process, from start to a clean stop.

mod listen;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use campanile_api::{ServeError, ServerConfig, Services};
use campanile_core::port::ReadError;
use campanile_engine::tasks::{Shutdown, ShutdownHandle, Task, sleep, spawn};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::compose::{self, Parts};
use crate::config::Config;
use crate::exit::{Failure, Kind};
use crate::observe::{Beat, Observatory};
use crate::role::{Group, Role};
use crate::signal::StopSignal;
use crate::{admin, group, thread};

use listen::listen;

/// How long running calls may go on after the stop began.
const API_DRAIN: Duration = Duration::from_secs(1);
/// How long a role may take beyond the drain before it is cut off, and how long that may take.
const GRACE: Duration = Duration::from_millis(500);
/// How long a start waits for the state to be there; requests would be answered UNAVAILABLE.
const BUILT_WITHIN: Duration = Duration::from_secs(5);

/// A running server. Stop it with [`Server::stop`].
pub(crate) struct Server {
    address: SocketAddr,
    parts: Arc<Parts>,
    observatory: Arc<Observatory>,
    /// Owns the tasks that look and show.
    observing: Vec<Task>,
    /// Owns the task that does what an operator asks.
    admin: Option<Task>,
    /// How serving requests ended, until it was told.
    api: Option<oneshot::Receiver<Result<(), ServeError>>>,
    /// Owns the task that serves requests.
    _api: Option<Task>,
    stop_api: ShutdownHandle,
    stop_roles: ShutdownHandle,
    roles: Vec<thread::Running>,
    ends: mpsc::Receiver<(&'static str, Option<RoleEnd>)>,
    drain: Duration,
}

/// How a role in the background ended.
type RoleEnd = Result<(), ReadError>;

/// Serves until SIGTERM or SIGINT, or until something ends that should not.
///
/// # Errors
/// [`Failure`].
pub(crate) fn run(config: Config) -> Result<(), Failure> {
    runtime()?.block_on(async {
        let mut stop = stop_signal()?;
        let mut server = Server::start(&config).await?;
        tokio::select! {
            signal = stop.given() => {
                tracing::info!(signal, "stopping");
                server.stop().await
            }
            failure = server.failure() => {
                tracing::error!(reason = failure.message, "stopping after a failure");
                // The failure that came first is the one to tell.
                let _second = server.stop().await;
                Err(failure)
            }
        }
    })
}

/// Listens for the signal to stop.
///
/// # Errors
/// [`Failure`] if the system does not tell of signals.
pub(crate) fn stop_signal() -> Result<StopSignal, Failure> {
    StopSignal::listen().map_err(|error| Failure::new(Kind::Unavailable, error))
}

/// The runtime for everything but the roles in the background.
///
/// # Errors
/// [`Failure`] if the system gives no threads.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| Failure::new(Kind::Unavailable, error))
}

impl Server {
    /// Starts what `config` says. Once this returns, requests are answered.
    ///
    /// # Errors
    /// [`Failure`]; then nothing is left running.
    pub(crate) async fn start(config: &Config) -> Result<Self, Failure> {
        let listener = listen("serve.listen", config.serve.listen)?;
        let observatory = Observatory::new(config.observe.stuck_after);
        let observing = observe(&observatory, config.observe.listen)?;
        let address = listener.local_addr().map_err(|it| Failure::new(Kind::Unavailable, it))?;
        let parts = Arc::new(Parts::open(config).await?);
        group::prepare(&parts, &config.serve.roles).await?;
        let (stop_api, api_stopping) = Shutdown::new();
        let (stop_roles, roles_stopping) = Shutdown::new();
        let (ended, ends) = mpsc::channel(8);
        let mut server = Self {
            address,
            parts,
            observatory,
            observing: observing.into_iter().collect(),
            admin: None,
            api: None,
            _api: None,
            stop_api,
            stop_roles,
            roles: Vec::new(),
            ends,
            drain: config.deliver.drain,
        };
        server.start_roles(config, &roles_stopping, &ended)?;
        if config.observe.listen.is_some() {
            let watching = server.observatory.watch(&server.parts, &config.serve.roles);
            server.observing.push(watching);
        }
        if config.serve.roles.contains(&Role::Projector) {
            server.parts.built(BUILT_WITHIN).await;
        }
        server.start_api(config, listener, api_stopping)?;
        server.admin = admin::serve(&server.parts, &config.store.directory);
        server.observatory.serving();
        let roles: Vec<_> = config.serve.roles.iter().map(|role| role.name()).collect();
        tracing::info!(%address, roles = roles.join(","), "serving");
        if config.apps.is_empty() {
            tracing::warn!("no app is configured, so every request is refused");
        }
        Ok(server)
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The ports and counters.
    pub(crate) fn parts(&self) -> &Parts {
        &self.parts
    }

    fn start_roles(
        &mut self,
        config: &Config,
        stopping: &Shutdown,
        ended: &mpsc::Sender<(&'static str, Option<RoleEnd>)>,
    ) -> Result<(), Failure> {
        let parts = self.parts.clone();
        let has = |role| config.serve.roles.contains(&role);
        if has(Role::Projector) {
            for group in [Group::PROJECTOR_EVENTS, Group::PROJECTOR_RECEIPTS] {
                let (role, stopping) = (compose::projector(&parts, group), stopping.clone());
                self.keep(group.name, stopping.clone(), ended, move || role.run(stopping))?;
            }
        }
        if let Some(keep) = config.store.retention.filter(|_| has(Role::Projector)) {
            let (role, stopping) = (compose::keeper(&parts, keep), stopping.clone());
            self.keep("keeper", stopping.clone(), ended, move || role.run(stopping))?;
        }
        if has(Role::DeliverApns) {
            let (role, stopping) = (compose::deliverer_apns(&parts, config)?, stopping.clone());
            let name = Role::DeliverApns.name();
            self.keep(name, stopping.clone(), ended, move || role.run(stopping))?;
        }
        if has(Role::DeliverFcm) {
            let (role, stopping) = (compose::deliverer_fcm(&parts, config)?, stopping.clone());
            let name = Role::DeliverFcm.name();
            self.keep(name, stopping.clone(), ended, move || role.run(stopping))?;
        }
        if has(Role::Scheduler) {
            let (role, stopping) = (compose::scheduler(&parts), stopping.clone());
            let name = Role::Scheduler.name();
            self.keep(name, stopping.clone(), ended, move || role.run(stopping))?;
        }
        Ok(())
    }

    /// Starts a role in the background, and sees to it that its end is told.
    fn keep<F, Fut>(
        &mut self,
        name: &'static str,
        stopping: Shutdown,
        ended: &mpsc::Sender<(&'static str, Option<RoleEnd>)>,
        role: F,
    ) -> Result<(), Failure>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = RoleEnd>,
    {
        let (ended, limit) = (ended.clone(), self.drain + GRACE);
        let beat = self.observatory.beat(name, self.parts.clock.clone());
        let started = thread::start(
            name,
            move || within(beat, role(), stopping, limit),
            move |end| {
                // Nobody waits any more when the process is ending.
                let _nobody = ended.try_send((name, end));
            },
        );
        self.roles.push(started.map_err(|error| Failure::new(Kind::Unavailable, error))?);
        Ok(())
    }

    fn start_api(
        &mut self,
        config: &Config,
        listener: TcpListener,
        stopping: Shutdown,
    ) -> Result<(), Failure> {
        let edge = self.parts.edge()?;
        let has = |role| config.serve.roles.contains(&role);
        let services = Services {
            ingest: has(Role::Ingest).then(|| compose::ingest(edge.clone(), config)),
            gateway: has(Role::Gateway).then(|| compose::gateway(edge)),
            routes: compose::routes(&self.parts),
            apps: Arc::new(config.apps.keys().cloned().collect()),
            entropy: self.parts.entropy.clone(),
        };
        let limits = ServerConfig {
            insecure_no_auth: config.serve.insecure_no_auth,
            drain: API_DRAIN,
            ..ServerConfig::default()
        };
        let listener = tokio::net::TcpListener::from_std(listener);
        let listener = listener.map_err(|error| Failure::new(Kind::Unavailable, error))?;
        let (tell, told) = oneshot::channel();
        self.api = Some(told);
        self._api = Some(spawn(async move {
            let end = campanile_api::serve(limits, services, listener, stopping).await;
            // Nobody waits any more when the process is ending.
            let _nobody = tell.send(end);
        }));
        Ok(())
    }

    /// Waits until something ends that should not end.
    pub(crate) async fn failure(&mut self) -> Failure {
        let api = async {
            match &mut self.api {
                Some(api) => api.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some((role, end)) = self.ends.recv() => ended(role, end),
            reason = self.parts.stopped() => {
                Failure::new(Kind::Unavailable, format_args!("the store stopped: {reason}"))
            }
            end = api => {
                self.api = None;
                match end {
                    Ok(Err(error)) => Failure::new(Kind::Unavailable, error),
                    Ok(Ok(())) => Failure::new(Kind::Bug, "the server stopped listening"),
                    Err(_) => Failure::new(Kind::Bug, "the server panicked"),
                }
            }
        }
    }

    /// Stops: first no more requests, then the roles, then the store. Takes less than ten seconds.
    ///
    /// # Errors
    /// [`Failure`] if something did not stop in time, or ended badly.
    pub(crate) async fn stop(mut self) -> Result<(), Failure> {
        self.observatory.stopping();
        // What is going on for an operator ends with the process, and is gone on with by the next.
        self.admin = None;
        self.stop_api.begin();
        if let Some(api) = self.api.take()
            && let Ok(Err(error)) = api.await
        {
            tracing::warn!(%error, "calls were cut off");
        }
        self.stop_roles.begin();
        let stopped = timeout(self.drain + 2 * GRACE, self.roles_end()).await;
        let late = |_| Failure::new(Kind::Bug, "a role did not stop in time");
        let stopped = stopped.map_err(late)?;
        for role in self.roles.drain(..) {
            role.join();
        }
        self.parts.flush().await;
        let parts = self.parts.clone();
        if tokio::task::spawn_blocking(move || parts.close()).await.is_err() {
            return Err(Failure::new(Kind::Bug, "closing the store panicked"));
        }
        tracing::info!("stopped");
        stopped
    }

    /// Waits until every role has ended; a bad end is what is told.
    async fn roles_end(&mut self) -> Result<(), Failure> {
        let mut stopped = Ok(());
        for _ in 0..self.roles.len() {
            match self.ends.recv().await {
                Some((_, Some(Ok(())))) => {}
                Some((role, end)) => stopped = Err(ended(role, end)),
                // A role whose end was told before is not told again.
                None => break,
            }
        }
        stopped
    }
}

/// Runs a role, and cuts it off if it does not end within `limit` of the stop. That is what a kill
/// would do to it: what is not committed is done again by the next one.
async fn within(
    beat: Arc<Beat>,
    role: impl Future<Output = RoleEnd>,
    mut stopping: Shutdown,
    limit: Duration,
) -> RoleEnd {
    let too_late = async {
        stopping.begun().await;
        sleep(limit).await;
    };
    tokio::select! {
        end = role => end,
        never = beat.keep() => match never {},
        () = too_late => {
            tracing::warn!(role = beat.name(), "cut off: it did not end in time");
            Ok(())
        }
    }
}

/// Starts to show what is observed, if `address` is one.
fn observe(
    observatory: &Arc<Observatory>,
    address: Option<SocketAddr>,
) -> Result<Option<Task>, Failure> {
    let Some(address) = address else { return Ok(None) };
    let unusable = |error| Failure::new(Kind::Unavailable, error);
    let listener = listen("observe.listen", address)?;
    let address = listener.local_addr().map_err(unusable)?;
    let listener = tokio::net::TcpListener::from_std(listener).map_err(unusable)?;
    tracing::info!(%address, "observing");
    Ok(Some(observatory.serve(listener)))
}

/// What a role's end means while the server should run.
fn ended(role: &str, end: Option<RoleEnd>) -> Failure {
    match end {
        Some(Err(error)) => {
            let kind = match &error {
                ReadError::NoGroup(_) | ReadError::Newer { .. } => Kind::Config,
                ReadError::Unavailable { .. } | ReadError::Damaged { .. } => Kind::Unavailable,
                ReadError::OutOfRange { .. } | ReadError::NoPartition(_) => Kind::Bug,
            };
            Failure::new(kind, format_args!("{role}: {error}"))
        }
        Some(Ok(())) => Failure::new(Kind::Bug, format_args!("{role} ended by itself")),
        None => Failure::new(Kind::Bug, format_args!("{role} panicked")),
    }
}

#[cfg(test)]
mod tests;
