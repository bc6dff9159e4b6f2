//! A simulator with one team, one app, and a few devices, at a time of its own.

use campanile_simulate::ManualClock;
use campanile_simulate::apns::{Config, Environment, Registration, SigningKey, Simulator};
use serde_json::{Value, json};
use std::sync::Arc;

use super::client::{Client, Push, Target};

pub(crate) const TEAM: &str = "TEAM123456";
pub(crate) const KEY: &str = "KEY1234567";
pub(crate) const APP: &str = "org.example.app";
pub(crate) const OTHER_APP: &str = "org.example.other";
pub(crate) const PHONE: &str = "00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0";
pub(crate) const TABLET: &str = "aa11";
pub(crate) const SANDBOX_PHONE: &str = "bb22";
pub(crate) const GONE: &str = "cc33";
pub(crate) const EXPIRED: &str = "dd44";
pub(crate) const OF_OTHER_APP: &str = "ee55";
pub(crate) const NOW_MS: u64 = 1_800_000_000_000;
pub(crate) const NOW: u64 = NOW_MS / 1000;
/// When the token of [`GONE`] went bad.
pub(crate) const GONE_SINCE_MS: u64 = NOW_MS - 86_400_123;

pub(crate) struct Fixture {
    pub(crate) apns: Simulator,
    pub(crate) clock: ManualClock,
    pub(crate) key: SigningKey,
    /// One provider token for all: a connection takes no second one.
    pub(crate) bearer: String,
}

impl Fixture {
    pub(crate) fn start() -> Self {
        Self::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> Self {
        let clock = ManualClock::new(NOW_MS);
        let config = Config { clock: Arc::new(clock.clone()), ..config };
        let apns = Simulator::spawn_thread(config).unwrap();
        let key = apns.generate_key(TEAM, KEY).unwrap();
        apns.register_topic(TEAM, APP);
        apns.register_topic(TEAM, OTHER_APP);
        for token in [PHONE, TABLET, GONE, EXPIRED] {
            apns.register_device(token, APP, Environment::Production).unwrap();
        }
        apns.register_device(SANDBOX_PHONE, APP, Environment::Sandbox).unwrap();
        apns.register_device(OF_OTHER_APP, OTHER_APP, Environment::Production).unwrap();
        assert!(apns.set_registration(GONE, Registration::Unregistered(GONE_SINCE_MS)));
        assert!(apns.set_registration(EXPIRED, Registration::Expired(GONE_SINCE_MS)));
        let bearer = format!("bearer {}", key.provider_token(NOW).unwrap());
        Self { apns, clock, key, bearer }
    }

    pub(crate) fn target(&self) -> Target {
        self.target_at("api.push.apple.com")
    }

    pub(crate) fn target_at(&self, host: &'static str) -> Target {
        Target { addr: self.apns.addr(), ca_pem: self.apns.ca_pem().to_owned(), host }
    }

    pub(crate) async fn connect(&self) -> Client {
        Client::connect(&self.target()).await
    }

    /// A connection on which one push to the tablet was accepted.
    pub(crate) async fn connect_warm(&self) -> Client {
        let mut client = self.connect().await;
        let answer = client.push(&self.alert("warm").to(TABLET)).await.unwrap();
        assert_eq!(answer.outcome(), (200, String::new()));
        client.barrier().await;
        client
    }

    /// A valid alert push to the phone.
    pub(crate) fn alert(&self, title: &str) -> Push {
        let body = json!({ "aps": { "alert": { "title": title, "body": "…" } } });
        self.push("alert", "10", body)
    }

    /// A valid background push to the phone with the given root keys.
    pub(crate) fn background(&self, mut root: Value) -> Push {
        root["aps"] = json!({ "content-available": 1 });
        self.push("background", "5", root)
    }

    fn push(&self, push_type: &str, priority: &str, body: Value) -> Push {
        let push = Push {
            method: "POST".to_owned(),
            path: format!("/3/device/{PHONE}"),
            headers: Vec::new(),
            body: body.to_string().into(),
        };
        push.add("authorization", &self.bearer)
            .add("apns-topic", APP)
            .add("apns-push-type", push_type)
            .add("apns-priority", priority)
    }
}
