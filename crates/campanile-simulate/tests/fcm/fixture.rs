//! A simulator with one project and a few devices, at a time of its own.

use std::sync::{Arc, OnceLock};

use campanile_simulate::ManualClock;
use campanile_simulate::fcm::{Config, Device, Registration, ServiceAccount, Simulator};
use serde_json::{Value, json};

use super::client::{Answer, Client, Push, Target};

pub(crate) const PROJECT: &str = "bells-0815";
pub(crate) const PHONE: &str = "fid-phone:APA91b";
pub(crate) const PHONE_ID: &str = "fid-phone";
pub(crate) const GONE: &str = "fid-gone:APA91b";
pub(crate) const OTHERS: &str = "fid-other:APA91b";
pub(crate) const NOW_MS: u64 = 1_800_000_000_000;
pub(crate) const NOW: u64 = NOW_MS / 1000;

/// Accounts of this and of another project: making their keys takes long.
pub(crate) fn accounts() -> &'static [ServiceAccount; 2] {
    static ACCOUNTS: OnceLock<[ServiceAccount; 2]> = OnceLock::new();
    ACCOUNTS.get_or_init(|| [PROJECT, "other"].map(|it| ServiceAccount::generate(it).unwrap()))
}

pub(crate) struct Fixture {
    pub(crate) fcm: Simulator,
    pub(crate) clock: ManualClock,
}

impl Fixture {
    pub(crate) fn start() -> Self {
        Self::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> Self {
        let clock = ManualClock::new(NOW_MS);
        let config = Config { clock: Arc::new(clock.clone()), ..config };
        let fcm = Simulator::spawn_thread(config).unwrap();
        for account in accounts() {
            fcm.register_account(account.public()).unwrap();
        }
        for token in [PHONE, GONE] {
            fcm.register_device(PROJECT, token).unwrap();
        }
        fcm.register_device("other", OTHERS).unwrap();
        assert!(fcm.set_registration(GONE, Registration::Unregistered));
        Self { fcm, clock }
    }

    /// A connection to a host.
    pub(crate) async fn connect_to(&self, host: &'static str) -> Client {
        let (addr, ca_pem) = (self.fcm.addr(), self.fcm.ca_pem().to_owned());
        Client::connect(&Target { addr, ca_pem, host }).await
    }

    /// A connection that serves everything.
    pub(crate) async fn connect(&self) -> Client {
        self.connect_to("localhost").await
    }

    /// The access token that an account gets.
    pub(crate) async fn bearer(&self, account: &ServiceAccount) -> String {
        let grant = self.connect().await.push(&grant(&account.assertion(NOW).unwrap())).await;
        let grant = grant.unwrap();
        assert_eq!(grant.status, 200, "{:?}", grant.body);
        format!("Bearer {}", grant.json()["access_token"].as_str().unwrap())
    }

    /// Sends a message with a fresh token.
    pub(crate) async fn send(&self, message: Value) -> Answer {
        let bearer = self.bearer(&accounts()[0]).await;
        self.connect().await.push(&send(&bearer, message)).await.unwrap()
    }

    pub(crate) fn phone(&self) -> Device {
        self.fcm.device(PHONE).unwrap()
    }
}

/// A valid request for an access token.
pub(crate) fn grant(assertion: &str) -> Push {
    let kind = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer";
    let body = format!("grant_type={kind}&assertion={assertion}");
    post("/token", "application/x-www-form-urlencoded", &body)
}

/// A request to send a message.
pub(crate) fn send(bearer: &str, message: Value) -> Push {
    let body = json!({ "message": message }).to_string();
    let path = format!("/v1/projects/{PROJECT}/messages:send");
    post(&path, "application/json", &body).add("authorization", bearer)
}

fn post(path: &str, kind: &str, body: &str) -> Push {
    let (method, path, body) = ("POST".to_owned(), path.to_owned(), body.to_owned().into());
    Push { method, path, headers: Vec::new(), body }.add("content-type", kind)
}

/// A valid notification message to the phone.
pub(crate) fn alert(tag: &str) -> Value {
    json!({
        "token": PHONE,
        "android": { "notification": { "title": "Bell", "body": "rings", "tag": tag } },
    })
}

/// A valid data message to the phone.
pub(crate) fn data(campanile: &Value) -> Value {
    json!({ "token": PHONE, "data": { "campanile": campanile.to_string() } })
}

/// Status, `error.status`, the `errorCode` of an `FcmError`, and the fields that are blamed.
pub(crate) type Refusal = (u16, String, Option<String>, Vec<String>);

pub(crate) fn refusal(answer: &Answer) -> Refusal {
    let body = answer.json();
    let details = body.pointer("/error/details").and_then(Value::as_array).cloned();
    let details = details.unwrap_or_default();
    let of_type = |name: &str| {
        details
            .iter()
            .filter(move |it| it["@type"].as_str().unwrap().ends_with(name))
            .collect::<Vec<_>>()
    };
    let code = of_type("firebase.fcm.v1.FcmError")
        .first()
        .map(|it| it["errorCode"].as_str().unwrap().to_owned());
    let violations = of_type("rpc.BadRequest").into_iter().flat_map(|it| {
        it["fieldViolations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["field"].as_str().unwrap().to_owned())
    });
    let word = body.pointer("/error/status").and_then(Value::as_str).unwrap_or_default();
    (answer.status.as_u16(), word.to_owned(), code, violations.collect())
}
