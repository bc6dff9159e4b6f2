//! A push in Google's words. Pure.

use bytes::Bytes;
use campanile_core::port::{Push, PushBody, Unfit};
use campanile_core::{
    Address, Content, FcmTarget, NotificationId, Platform, Posted, Priority, Timestamp, Visual,
};
use http::HeaderValue;
use http::uri::{Authority, PathAndQuery};
use serde::Serialize;

use crate::http2::{Field, Post};
use crate::told::{Unsayable, shown, signalled, synced};

/// The largest payload Google takes, in bytes of the keys and values of data and notification. How
/// Google counts exactly is not documented.
pub const PAYLOAD_LIMIT: usize = 4096;

/// The longest time for which Google stores a message, in seconds: 28 days.
const LONGEST_TTL: u64 = 28 * 86_400;

/// The key of the data under which the app finds what it is told.
const CAMPANILE: &str = "campanile";

/// The collapse key of signals.
const SIGNAL: &str = "campanile";

/// What can be prepared for every push of a route.
#[derive(Clone, Debug)]
pub(super) struct Envelope {
    /// The server, as in `:authority`.
    pub(super) authority: Authority,
    /// Names the project.
    pub(super) path: PathAndQuery,
}

impl Envelope {
    /// For the messages of `project`, if its id can be part of a path.
    pub(super) fn new(authority: Authority, project: &str) -> Option<Self> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-.:".contains(&b);
        let right = !project.is_empty() && project.bytes().all(allowed);
        let path = format!("/v1/projects/{project}/messages:send");
        right.then(|| path.try_into().ok()).flatten().map(|path| Self { authority, path })
    }
}

/// Whether Google can carry `posted`.
///
/// # Errors
/// [`Unfit`] if its payload would be larger than [`PAYLOAD_LIMIT`].
pub fn fit(posted: &Posted) -> Result<(), Unfit> {
    // The log offset is not known yet; it has at most 20 digits.
    let item = posted.id.to_string();
    let said = Said::show(posted.id, &item, u64::MAX, &posted.content, posted.group.as_deref());
    // A payload of these types is always JSON.
    said.map_or(Ok(()), |said| check(said.size()))
}

/// The request for `push`, made at `now`: head, and body.
pub(super) fn request<'a>(
    push: &Push,
    envelope: &'a Envelope,
    authorization: &'a HeaderValue,
    now: Timestamp,
) -> Result<(Post<'a>, Bytes), Unsayable> {
    let fields = vec![
        Field::secret("authorization", authorization.as_bytes()),
        Field::shared("content-type", b"application/json"),
    ];
    let (authority, path) = (envelope.authority.as_str(), envelope.path.as_str().into());
    Ok((Post { authority, path, fields }, body(push, now)?))
}

fn body(push: &Push, now: Timestamp) -> Result<Bytes, Unsayable> {
    let Address::Fcm { target, .. } = &*push.address else {
        return Err(Unsayable::Malformed("an address of another platform".to_owned()));
    };
    let item = push.item.to_string();
    let said = match &push.body {
        PushBody::Show { content, group } => {
            Said::show(push.item, &item, push.sequence, content, group.as_deref())
        }
        PushBody::Sync(state) => {
            serde_json::to_string(&synced(push.sequence, state, &[], 0)).map(Said::silent)
        }
        PushBody::Signal => {
            serde_json::to_string(&signalled(push.item, push.sequence)).map(Said::silent)
        }
    };
    let malformed = |error: serde_json::Error| Unsayable::Malformed(error.to_string());
    let said = said.map_err(malformed)?;
    check(said.size())?;
    let (token, fid) = match target {
        FcmTarget::Token(token) => (Some(token.as_str()), None),
        FcmTarget::Installation(fid) => (None, Some(fid.as_str())),
    };
    let visible = said.notification.is_some();
    let android = Android {
        priority: priority(push.priority, visible),
        ttl: match &push.body {
            // One is stored for all items, the latest: it must not be gone before an earlier one
            // would be.
            PushBody::Signal => format!("{LONGEST_TTL}s"),
            PushBody::Show { .. } | PushBody::Sync(_) => ttl(push.expires_at, now),
        },
        collapse_key: match &push.body {
            PushBody::Signal => Some(SIGNAL),
            PushBody::Show { .. } | PushBody::Sync(_) => visible.then_some(item.as_str()),
        },
        notification: said.notification,
    };
    let data = Data { campanile: said.campanile };
    let message = Message { token, fid, android, data };
    serde_json::to_vec(&Whole { message }).map(Bytes::from).map_err(malformed)
}

/// A message of high priority that shows nothing gets the app's messages deprioritised (Firebase,
/// "Set and manage Android message priority"), so what shows nothing never has it.
fn priority(priority: Priority, visible: bool) -> &'static str {
    match priority {
        Priority::High if visible => "HIGH",
        _ => "NORMAL",
    }
}

/// Whole seconds from now; zero is "now or never".
fn ttl(expires_at: Timestamp, now: Timestamp) -> String {
    format!("{}s", expires_at.since(now).as_secs().min(LONGEST_TTL))
}

fn check(needs: usize) -> Result<(), Unfit> {
    match needs {
        0..=PAYLOAD_LIMIT => Ok(()),
        _ => Err(Unfit { platform: Platform::Fcm, limit: PAYLOAD_LIMIT, needs }),
    }
}

/// What a message says, apart from to whom and how.
struct Said<'a> {
    notification: Option<Notification<'a>>,
    /// JSON.
    campanile: String,
}

impl<'a> Said<'a> {
    fn silent(campanile: String) -> Self {
        Self { notification: None, campanile }
    }

    /// A notification message if there is something to draw, else a data message.
    fn show(
        item: NotificationId,
        tag: &'a str,
        sequence: u64,
        content: &'a Content,
        group: Option<&'a str>,
    ) -> serde_json::Result<Self> {
        let campanile = serde_json::to_string(&shown(item, sequence, content, group))?;
        let notification = content.visual.as_ref().map(|visual| Notification::new(visual, tag));
        Ok(Self { notification, campanile })
    }

    /// Bytes of keys and values.
    fn size(&self) -> usize {
        let notification = self.notification.as_ref().map_or(0, Notification::size);
        notification + CAMPANILE.len() + self.campanile.len()
    }
}

#[derive(Serialize)]
struct Whole<'a> {
    message: Message<'a>,
}

/// Exactly one of `token` and `fid` is there.
#[derive(Serialize)]
struct Message<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fid: Option<&'a str>,
    android: Android<'a>,
    data: Data,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Android<'a> {
    priority: &'static str,
    ttl: String,
    /// Google takes no account of it in messages that show something, and stores few of the others
    /// under different keys (Firebase, "Non-collapsible and collapsible messages"): each state
    /// matters, so those have none. Of signals one is enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    collapse_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notification: Option<Notification<'a>>,
}

/// Data is text by text, so ours is JSON in a text.
#[derive(Serialize)]
struct Data {
    campanile: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Notification<'a> {
    title: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sound: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notification_count: Option<u32>,
    /// By it the notification is replaced, and taken off the screen. Without one the system makes
    /// one up that nobody knows.
    tag: &'a str,
}

impl<'a> Notification<'a> {
    fn new(visual: &'a Visual, tag: &'a str) -> Self {
        Self {
            title: &visual.title,
            body: visual.body.as_deref(),
            sound: visual.sound.as_deref(),
            // The field is a signed number of 32 bits.
            notification_count: visual.badge.map(|badge| badge.min(i32::MAX.unsigned_abs())),
            tag,
        }
    }

    fn size(&self) -> usize {
        let count = self.notification_count.map(|count| count.to_string());
        let fields = [
            ("title", Some(self.title)),
            ("body", self.body),
            ("sound", self.sound),
            ("notificationCount", count.as_deref()),
            ("tag", Some(self.tag)),
        ];
        let present = fields.into_iter().filter_map(|(key, value)| Some((key, value?)));
        present.map(|(key, value)| key.len() + value.len()).sum()
    }
}

#[cfg(test)]
mod tests;
