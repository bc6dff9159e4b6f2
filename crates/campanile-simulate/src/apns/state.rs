//! The service behind the connections: keys, topics, devices, and the judgement of a push.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use super::check::Head;
use super::device::{Change, Device, Registration};
use super::environment::Environment;
use super::id::ApnsId;
use super::push::{Kind, Received};
use super::reason::{Reason, Rejection};
use super::session::Session;
use super::token::{Keyring, Verified};
use crate::service::State;

/// What APNs knows besides its devices.
#[derive(Debug)]
pub struct Apns {
    hosts: Vec<(String, Environment)>,
    pub(super) keyring: Keyring,
    /// Bundle ids by team.
    pub(super) topics: HashMap<String, HashSet<String>>,
    /// Bundle ids of devices, each stored once.
    names: HashSet<Arc<str>>,
}

/// A push that broke no rule by itself.
pub(crate) struct Incoming<'a> {
    pub(crate) head: &'a Head<'a>,
    pub(crate) apns_id: ApnsId,
    pub(crate) connection: u64,
    pub(crate) now_ms: u64,
}

impl Apns {
    pub(super) fn new(hosts: Vec<(String, Environment)>) -> Self {
        let (keyring, topics, names) = (Keyring::default(), HashMap::new(), HashSet::new());
        Self { hosts, keyring, topics, names }
    }

    /// The environment of the host that a client asked for.
    pub(super) fn environment(&self, host: &str) -> Environment {
        let named = self.hosts.iter().find(|(name, _)| name == host);
        named.map_or(Environment::Production, |(_, environment)| *environment)
    }
}

impl State<Apns> {
    /// Puts a device on the market; one that had the token before is forgotten.
    pub(crate) fn register_device(&mut self, token: &str, bundle_id: &str, env: Environment) {
        let name = match self.service.names.get(bundle_id) {
            Some(known) => Arc::clone(known),
            None => Arc::from(bundle_id),
        };
        self.service.names.insert(Arc::clone(&name));
        self.world.devices.insert(token.to_ascii_lowercase().into(), Device::new(name, env));
    }

    /// Applies the checks that need the service's knowledge, and delivers the push if its parsed
    /// body is given; without it the push is only counted.
    pub(crate) fn judge(
        &mut self,
        session: &mut Session,
        push: &Incoming<'_>,
        record: Option<Value>,
    ) -> Result<Vec<Change>, Rejection> {
        let token = push.head.provider_token;
        let verified = session.authorise(&mut self.service.keyring, token, push.now_ms)?;
        self.check_topic(&verified, push.head.bundle_id)?;
        let device = self.world.device_mut(push.head.device).ok_or(Reason::BadDeviceToken)?;
        check_device(device, session.environment(), push.head.bundle_id)?;

        let duplicate = device.count(push.apns_id);
        let changes = match record {
            Some(payload) => device.take(received(push, payload, duplicate)),
            None => Vec::new(),
        };
        self.world.count(push.connection, |counts| {
            counts.accepted += 1;
            counts.duplicates += u64::from(duplicate);
        });
        Ok(changes)
    }

    fn check_topic(&self, verified: &Verified, bundle_id: &str) -> Result<(), Reason> {
        let of_team = self.service.topics.get(&*verified.team_id);
        let of_key = verified.key.topics.as_ref();
        if of_team.is_some_and(|topics| topics.contains(bundle_id))
            && of_key.is_none_or(|topics| topics.iter().any(|topic| topic == bundle_id))
        {
            Ok(())
        } else {
            Err(Reason::TopicDisallowed)
        }
    }
}

fn check_device(device: &Device, env: Environment, bundle_id: &str) -> Result<(), Rejection> {
    if device.environment() != env {
        return Err(Reason::BadDeviceToken.into());
    }
    if device.bundle_id() != bundle_id {
        return Err(Reason::DeviceTokenNotForTopic.into());
    }
    match device.registration() {
        Registration::Active => Ok(()),
        Registration::Unregistered(since) => {
            Err(Rejection::from(Reason::Unregistered).timestamp_ms(since))
        }
        Registration::Expired(since) => {
            Err(Rejection::from(Reason::ExpiredToken).timestamp_ms(since))
        }
    }
}

fn received(push: &Incoming<'_>, payload: Value, duplicate: bool) -> Received {
    let head = push.head;
    Received {
        at_ms: push.now_ms,
        kind: Kind::of(head.push_type, &payload),
        push_type: head.push_type,
        priority: head.priority,
        expiration: head.expiration,
        collapse_id: head.collapse_id.filter(|id| !id.is_empty()).map(str::to_owned),
        apns_id: push.apns_id,
        connection: push.connection,
        duplicate,
        payload: Arc::new(payload),
    }
}
