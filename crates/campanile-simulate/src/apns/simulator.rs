//! What a test can do to the simulated APNs.

use thiserror::Error;

use super::Simulator;
use super::check;
use super::config::Config;
use super::device::{Registration, Remover, SilentLimit};
use super::environment::Environment;
use super::key::{KeyError, ProviderKey, SigningKey};
use super::state::Apns;
use super::token::Key;
use crate::service::{On, Setup, StartError};

/// A text that cannot be a device token.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("device token {0:?}: not an even number of hexadecimal digits, at most 512")]
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

    /// Registers a provider key; one with the same key id is replaced.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if the public key is not a P-256 key in PEM.
    pub fn register_key(&self, key: ProviderKey) -> Result<(), KeyError> {
        let key = Key::parse(key)?;
        self.shared.change(|state| state.service.keyring.insert(key));
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
        self.shared.change(|state| state.service.keyring.revoke(key_id))
    }

    /// Registers an app of a team by its bundle id. The suffixes of the push types go with it.
    pub fn register_topic(&self, team_id: &str, bundle_id: &str) {
        self.shared.change(|state| {
            state
                .service
                .topics
                .entry(team_id.to_owned())
                .or_default()
                .insert(bundle_id.to_owned());
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

    /// Limits how many background pushes a device is given, or does not. `false` if there is no such
    /// device.
    pub fn limit_silent(&self, token: &str, limit: Option<SilentLimit>) -> bool {
        self.shared.change(|state| {
            let device = state.world.device_mut(token);
            device.map(|device| device.set_silent_limit(limit)).is_some()
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

    /// How many provider tokens had their signature checked. A token is checked once.
    pub fn signatures_checked(&self) -> u64 {
        self.shared.state().service.keyring.signatures()
    }
}

fn setup(config: Config) -> Setup<Apns> {
    Setup {
        address: config.address,
        hosts: config.hosts.iter().map(|(name, _)| name.clone()).collect(),
        streams: config.streams,
        recording: config.recording,
        tap: config.tap,
        seed: config.seed,
        clock: config.clock,
        service: Apns::new(config.hosts),
    }
}
