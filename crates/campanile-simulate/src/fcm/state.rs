//! The service behind the connections: accounts, access tokens, devices, and the judgement of a
//! message.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use serde_json::json;

use super::assertion::Accounts;
use super::check::{self, Head};
use super::config::{Config, Quotas};
use super::device::{Change, Device, Registration};
use super::message::{Message, Target};
use super::quota::Bucket;
use super::received::{Received, identity};
use super::rejection::{Code, Rejection};
use super::sign_in::Tokens;
use crate::Recording;
use crate::service::State;

/// What FCM knows besides its devices.
#[derive(Debug)]
pub struct Fcm {
    pub(super) send_hosts: Arc<[String]>,
    pub(super) token_hosts: Arc<[String]>,
    pub(super) accounts: Accounts,
    pub(super) tokens: Tokens,
    pub(super) token_life_s: u64,
    /// Access tokens issued.
    pub(super) sign_ins: u64,
    quotas: Quotas,
    projects: HashMap<String, Bucket>,
    /// Projects of devices, each stored once.
    names: HashSet<Arc<str>>,
}

/// A request to send, on its way.
pub(crate) struct Incoming<'a> {
    pub(crate) head: Head<'a>,
    pub(crate) connection: u64,
    pub(crate) now_ms: u64,
    pub(crate) recording: Recording,
}

impl Fcm {
    pub(super) fn new(config: Config) -> Self {
        Self {
            send_hosts: config.send_hosts.into(),
            token_hosts: config.token_hosts.into(),
            accounts: Accounts::default(),
            tokens: Tokens::default(),
            token_life_s: config.token_life_s,
            sign_ins: 0,
            quotas: config.quotas,
            projects: HashMap::new(),
            names: HashSet::new(),
        }
    }

    /// Whether the bearer may send for the project.
    fn authorise(&self, push: &Incoming<'_>) -> Result<(), Rejection> {
        let Head { project, bearer } = push.head;
        let grant = self.tokens.grant(bearer, push.now_ms).ok_or_else(check::unauthenticated)?;
        if self.accounts.project(&grant.email) == Some(project) {
            return Ok(());
        }
        if !self.accounts.has_project(project) {
            return Err(check::not_found());
        }
        let message = format!(
            "Permission 'cloudmessaging.messages.create' denied on resource \
             '//cloudresourcemanager.googleapis.com/projects/{project}' (or it may not exist)."
        );
        Err(Rejection::api(StatusCode::FORBIDDEN, "PERMISSION_DENIED", &message))
    }

    /// Takes a message out of the project's quota.
    fn charge(&mut self, project: &str, now_ms: u64) -> Result<(), Rejection> {
        let Some(limit) = self.quotas.project_per_minute else { return Ok(()) };
        if !self.projects.contains_key(project) {
            self.projects.insert(project.to_owned(), Bucket::full(limit, now_ms));
        }
        let taken = self.projects.get_mut(project).map(|bucket| bucket.take(limit, now_ms));
        taken.unwrap_or(Ok(())).map_err(|seconds| {
            let message = "Quota exceeded for quota metric 'Send requests'";
            let detail = json!({
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "RATE_LIMIT_EXCEEDED",
                "domain": "googleapis.com",
                "metadata": {
                    "service": "fcm.googleapis.com",
                    "quota_metric": "fcm.googleapis.com/send_requests",
                    "quota_limit": "SendsPerMinutePerProject",
                },
            });
            Rejection::api(StatusCode::TOO_MANY_REQUESTS, "RESOURCE_EXHAUSTED", message)
                .detail(detail)
                .retry_after(seconds)
        })
    }
}

impl State<Fcm> {
    /// Puts a device on the market; one with the same installation id before is forgotten.
    pub(crate) fn register_device(&mut self, project: &str, fid: &str, token: Option<String>) {
        let name = match self.service.names.get(project) {
            Some(known) => Arc::clone(known),
            None => Arc::from(project),
        };
        self.service.names.insert(Arc::clone(&name));
        self.world.devices.insert(fid.into(), Device::new(name, token));
    }

    /// Applies the checks that need nothing of the message.
    pub(crate) fn admit(&mut self, push: &Incoming<'_>) -> Result<(), Rejection> {
        self.service.authorise(push)?;
        self.service.charge(push.head.project, push.now_ms)
    }

    /// Applies the checks that need the service's knowledge, and delivers the message.
    pub(crate) fn judge(
        &mut self,
        push: &Incoming<'_>,
        message: Message,
    ) -> Result<(Bytes, Vec<Change>), Rejection> {
        let name = if message.validate_only {
            format!("projects/{}/messages/fake_message_id", push.head.project)
        } else {
            let (time, number) = (push.now_ms * 1000, self.random.next_u64());
            format!("projects/{}/messages/0:{time}%{number:016x}", push.head.project)
        };
        let answer = Bytes::from(json!({ "name": name }).to_string());
        let mut changes = Vec::new();
        let mut duplicate = false;
        if let Some(text) = message.target.text() {
            let device = self.world.device_mut(text).ok_or_else(unregistered)?;
            check_device(device, push.head.project, &message.target)?;
            charge_device(device, self.service.quotas, push.now_ms, text)?;
            if !message.validate_only {
                duplicate = device.count(identity(message.tag.as_deref(), &message.fields));
                if push.recording == Recording::Full {
                    let received = received(push, message, name.into(), duplicate);
                    changes = device.take(received, &mut self.random);
                }
            }
        }
        self.world.count(push.connection, |counts| {
            counts.accepted += 1;
            counts.duplicates += u64::from(duplicate);
        });
        Ok((answer, changes))
    }
}

impl Target {
    /// The token or installation id.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Fid(text) | Self::Token(text) => Some(text),
            Self::Topic => None,
        }
    }
}

fn unregistered() -> Rejection {
    Rejection::fcm(Code::Unregistered, "Requested entity was not found.")
}

fn check_device(device: &Device, project: &str, target: &Target) -> Result<(), Rejection> {
    // A token that was replaced is as dead as its app; where a token is asked for, an installation
    // id is taken too.
    let outdated = matches!(target, Target::Token(token)
        if token.contains(':') && device.token() != Some(token));
    if outdated || device.registration() == Registration::Unregistered {
        return Err(unregistered());
    }
    if device.project() != project {
        return Err(Rejection::fcm(Code::SenderIdMismatch, "SenderId mismatch"));
    }
    Ok(())
}

fn charge_device(
    device: &mut Device,
    quotas: Quotas,
    now_ms: u64,
    name: &str,
) -> Result<(), Rejection> {
    let Some(limit) = quotas.device_per_minute else { return Ok(()) };
    let bucket = device.quota.get_or_insert_with(|| Bucket::full(limit, now_ms));
    bucket.take(limit, now_ms).map_err(|_| {
        let message = "The message rate to this device is too high.";
        let rejection = Rejection::fcm(Code::QuotaExceeded, message);
        rejection.quota(&format!("device:{name}"), "Device message rate exceeded.")
    })
}

fn received(push: &Incoming<'_>, message: Message, name: Arc<str>, duplicate: bool) -> Received {
    Received {
        at_ms: push.now_ms,
        kind: message.kind,
        priority: message.priority,
        ttl_s: message.ttl_s,
        collapse_key: message.collapse_key,
        tag: message.tag,
        name,
        connection: push.connection,
        duplicate,
        message: Arc::new(message.fields),
    }
}
