//! What a test can do to the simulated FCM.

use thiserror::Error;

use super::Simulator;
use super::account::{Account, AccountError, ServiceAccount};
use super::config::Config;
use super::device::{Registration, Remover};
use super::state::Fcm;
use crate::service::{On, Service, Setup, StartError};

/// A text that cannot be a registration token or installation id.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "{0:?}: an installation id has letters, digits, _ and -; a token has also a colon after it"
)]
pub struct InvalidToken(String);

impl Simulator {
    /// Starts a simulator on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// [`StartError`] if there is no runtime, or no listening on the configured address.
    pub fn start(config: Config) -> Result<Self, StartError> {
        Self::launch(setup(config), On::Runtime)
    }

    /// Starts a simulator on a thread of its own with a runtime of its own: the fast way for load,
    /// and the way to keep its timers apart from a paused clock.
    ///
    /// # Errors
    ///
    /// [`StartError`] if there is no thread, or no listening on the configured address.
    pub fn spawn_thread(config: Config) -> Result<Self, StartError> {
        Self::launch(setup(config), On::Thread)
    }

    /// Registers a service account, or another key of it, and with it its project.
    ///
    /// # Errors
    ///
    /// [`AccountError`] if the public key is no RSA key in PEM.
    pub fn register_account(&self, account: Account) -> Result<(), AccountError> {
        self.shared.change(|state| state.service.accounts.insert(account))
    }

    /// Generates an account for a project, registers it, and returns it. Making its key takes a
    /// noticeable part of a second.
    ///
    /// # Errors
    ///
    /// [`AccountError`] if the cryptographic library fails.
    pub fn generate_account(&self, project: &str) -> Result<ServiceAccount, AccountError> {
        let account = ServiceAccount::generate(project)?;
        self.register_account(account.public())?;
        Ok(account)
    }

    /// Deletes the keys of an account: it cannot sign in any more. Access tokens stay good. `false`
    /// if it had none.
    pub fn revoke_account(&self, email: &str) -> bool {
        self.shared.change(|state| state.service.accounts.revoke(email))
    }

    /// Makes every access token bad that was issued so far.
    pub fn revoke_tokens(&self) {
        self.shared.change(|state| state.service.tokens.revoke_all());
    }

    /// Registers an app installation of a project: `<installation id>`, or a registration token
    /// `<installation id>:<anything>`. One with the same id before is forgotten, with everything it
    /// showed.
    ///
    /// # Errors
    ///
    /// [`InvalidToken`] if the text is neither.
    pub fn register_device(&self, project: &str, token: &str) -> Result<(), InvalidToken> {
        let (fid, token) = split(token)?;
        self.shared.change(|state| state.register_device(project, &fid, token));
        Ok(())
    }

    /// Gives a device another registration token; the one before is `UNREGISTERED` from now on.
    ///
    /// # Errors
    ///
    /// [`InvalidToken`] if the text is no token of a registered device.
    pub fn rotate_token(&self, token: &str) -> Result<(), InvalidToken> {
        let (fid, rotated) = split(token)?;
        self.shared.change(|state| {
            let device = state.world.device_mut(&fid);
            device.map(|device| device.set_token(rotated)).ok_or(InvalidToken(token.to_owned()))
        })
    }

    /// Makes a device good or unregistered. `false` if there is no such device.
    pub fn set_registration(&self, token: &str, registration: Registration) -> bool {
        self.shared.change(|state| {
            let device = state.world.device_mut(token);
            device.map(|device| device.set_registration(registration)).is_some()
        })
    }

    /// Connects or disconnects a device. While it is offline, the service keeps what it may store
    /// for it. `false` if there is no such device.
    pub fn set_online(&self, token: &str, online: bool) -> bool {
        let now_ms = self.shared.clock.now_ms();
        self.shared.change_device(token, |state| match state.world.device_mut(token) {
            Some(device) => (true, device.set_online(online, now_ms)),
            None => (false, Vec::new()),
        })
    }

    /// The user of a device takes a notification out of the tray. `false` if it is not there.
    pub fn swipe(&self, token: &str, id: &str) -> bool {
        let now_ms = self.shared.clock.now_ms();
        self.shared.change_device(token, |state| {
            let device = state.world.device_mut(token);
            let change = device.and_then(|device| device.remove(id, Remover::User, now_ms));
            (change.is_some(), Vec::from_iter(change))
        })
    }

    /// How many access tokens were issued.
    pub fn sign_ins(&self) -> u64 {
        self.shared.state().service.sign_ins
    }

    /// How many assertions had their signature checked.
    pub fn signatures_checked(&self) -> u64 {
        self.shared.state().service.accounts.signatures()
    }
}

fn split(token: &str) -> Result<(String, Option<String>), InvalidToken> {
    let right = |b: u8| b.is_ascii_alphanumeric() || b"_-:".contains(&b);
    let fid = Fcm::key(token);
    if fid.is_empty() || !token.bytes().all(right) || token.len() > 4096 {
        return Err(InvalidToken(token.to_owned()));
    }
    let whole = token.contains(':').then(|| token.to_owned());
    Ok((fid.into_owned(), whole))
}

fn setup(config: Config) -> Setup<Fcm> {
    let mut hosts = config.send_hosts.clone();
    hosts.extend(config.token_hosts.iter().cloned());
    // A name that serves both is there once.
    let mut seen = std::collections::HashSet::new();
    hosts.retain(|host| seen.insert(host.clone()));
    Setup {
        address: config.address,
        hosts,
        streams: config.streams,
        recording: config.recording,
        tap: config.tap.clone(),
        seed: config.seed,
        clock: config.clock.clone(),
        service: Fcm::new(config),
    }
}
