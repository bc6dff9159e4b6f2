//! The push services at the other end: simulated, with every check on, and devices that keep
//! nothing.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use campanile_proto::v1;
use campanile_simulate::{Fault, Recording, Tap, When, apns, fcm};

use crate::error::LoadError;
use crate::ledger::{Ledger, Window};
use crate::scenario::Scenario;

/// The app under load.
pub(crate) const APP: &str = "load";
const TOPIC: &str = "com.example.load";
const PROJECT: &str = "load-2026";
const TEAM: &str = "LOADTEAM01";
const KEY: &str = "LOADKEY001";

/// Apple and Google. Dropping it stops them.
pub(crate) struct Platforms {
    apns: apns::Simulator,
    key: apns::SigningKey,
    google: Option<(fcm::Simulator, fcm::ServiceAccount)>,
}

impl Platforms {
    /// Starts what `scenario` needs; everything that is accepted is written into `ledger`.
    ///
    /// # Errors
    /// [`LoadError::Platform`].
    pub(crate) fn start(
        scenario: &Scenario,
        ledger: &Arc<Ledger>,
        window: Window,
    ) -> Result<Self, LoadError> {
        let tap = || {
            let ledger = ledger.clone();
            Tap::new(move |push| {
                if let Some(endpoint) = endpoint_of(push.device) {
                    ledger.arrive(endpoint, push.body, window);
                }
            })
        };
        let recording = Recording::CountsOnly;
        let config = apns::Config { recording, tap: Some(tap()), ..apns::Config::default() };
        let apns = apns::Simulator::spawn_thread(config).map_err(LoadError::platform)?;
        let key = apns.generate_key(TEAM, KEY).map_err(LoadError::platform)?;
        apns.register_topic(TEAM, TOPIC);
        let latency = Duration::from_millis(scenario.latency_ms);
        if !latency.is_zero() {
            apns.inject(Fault::delay(latency, When::Always));
        }
        let mut google = None;
        if scenario.fcm_percent > 0 {
            let (quotas, tap) = (fcm::Quotas::NONE, Some(tap()));
            let config = fcm::Config { recording, tap, quotas, ..fcm::Config::default() };
            let fcm = fcm::Simulator::spawn_thread(config).map_err(LoadError::platform)?;
            let account = fcm.generate_account(PROJECT).map_err(LoadError::platform)?;
            if !latency.is_zero() {
                fcm.inject(Fault::delay(latency, When::Always));
            }
            google = Some((fcm, account));
        }
        Ok(Self { apns, key, google })
    }

    /// Makes a device known to its platform; answers its address.
    ///
    /// # Errors
    /// [`LoadError::Platform`].
    pub(crate) fn device(
        &self,
        scenario: &Scenario,
        user: usize,
        endpoint: usize,
    ) -> Result<v1::Address, LoadError> {
        use v1::address::Platform;
        let platform = match &self.google {
            Some((fcm, _)) if scenario.is_fcm(user, endpoint) => {
                let token = format!("load-{user:010}-{endpoint:08x}");
                fcm.register_device(PROJECT, &token).map_err(LoadError::platform)?;
                let target = Some(v1::fcm_address::Target::Token(token));
                Platform::Fcm(v1::FcmAddress { project: PROJECT.to_owned(), target })
            }
            _ => {
                let token = format!("{user:056x}{endpoint:08x}");
                let production = apns::Environment::Production;
                let known = self.apns.register_device(&token, TOPIC, production);
                known.map_err(LoadError::platform)?;
                let environment = v1::Environment::Production.into();
                Platform::Apns(v1::ApnsAddress { token, topic: TOPIC.to_owned(), environment })
            }
        };
        Ok(v1::Address { platform: Some(platform) })
    }

    /// What an engine's configuration says of the app and its routes; the secrets it names are
    /// written into `directory`.
    ///
    /// # Errors
    /// [`LoadError::Io`].
    pub(crate) fn configure(&self, directory: &Path) -> Result<String, LoadError> {
        let path = |name: &str| directory.join(name).display().to_string();
        write_secret(&directory.join("key.p8"), &self.key.private_pem())?;
        std::fs::write(directory.join("apns-ca.pem"), self.apns.ca_pem())?;
        let mut config = format!(
            "[[apps]]\nid = \"{APP}\"\n[[apps.apns]]\ntopic = \"{TOPIC}\"\nteam_id = \"{TEAM}\"\n\
             key_id = \"{KEY}\"\nkey_file = {:?}\nca_file = {:?}\naddress = \"{}\"\n",
            path("key.p8"),
            path("apns-ca.pem"),
            self.apns.addr(),
        );
        if let Some((fcm, account)) = &self.google {
            write_secret(&directory.join("account.json"), &account.json())?;
            std::fs::write(directory.join("fcm-ca.pem"), fcm.ca_pem())?;
            let there = format!("ca_file = {:?}, address = \"{}\"", path("fcm-ca.pem"), fcm.addr());
            config += &format!(
                "[[apps.fcm]]\naccount_file = {:?}\nca_file = {:?}\naddress = \"{}\"\n\
                 sign_in = {{ {there} }}\n",
                path("account.json"),
                path("fcm-ca.pem"),
                fcm.addr(),
            );
        }
        Ok(config)
    }
}

/// The number of an endpoint among its user's: the last eight digits of its address.
fn endpoint_of(device: &str) -> Option<usize> {
    let digits = device.get(device.len().checked_sub(8)?..)?;
    usize::from_str_radix(digits, 16).ok()
}

fn write_secret(path: &Path, text: &str) -> std::io::Result<()> {
    std::fs::write(path, text)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}
