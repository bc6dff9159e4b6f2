//! A push in Apple's words. Pure.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use campanile_core::port::{Push, PushBody, Told, Unfit};
use campanile_core::{
    Address, Content, DeliveryId, NotificationId, Platform, Posted, Priority, Visual,
};
use http::HeaderValue;
use http::uri::Authority;
use serde::Serialize;

use crate::http2::{Field, Post};
use crate::told::{Along, MOST_ALONG, Shown, Unsayable, along, shown, signalled, synced};

/// The longest payload Apple takes, in bytes; without VoIP, which is not sent.
pub const PAYLOAD_LIMIT: usize = 4096;

pub(super) const ID: &str = "apns-id";

/// What can be prepared for every push of a route.
#[derive(Clone, Debug)]
pub(super) struct Envelope {
    /// The server, as in `:authority`.
    pub(super) authority: Authority,
    /// The topic.
    pub(super) topic: HeaderValue,
}

/// Whether Apple can carry `posted`.
///
/// # Errors
/// [`Unfit`] if its payload would be longer than [`PAYLOAD_LIMIT`].
pub fn fit(posted: &Posted) -> Result<(), Unfit> {
    // The log offset is not known yet; it has at most 20 digits.
    let payload = show(posted.id, u64::MAX, &posted.content, posted.group.as_ref());
    let mut counted = Count(0);
    // Writing into a counter cannot fail, and neither can a payload of these types.
    let _ = serde_json::to_writer(&mut counted, &payload);
    check(counted.0)
}

/// The request for `push`, without its payload, which wakes the app in the `background` or not.
/// What the connection remembers is what Apple asks for ("Sending notification requests to APNs").
pub(super) fn request<'a>(
    push: &Push,
    background: bool,
    envelope: &'a Envelope,
    authorization: &'a HeaderValue,
) -> Result<Post<'a>, Unsayable> {
    let Address::Apns { token, .. } = &*push.address else {
        return Err(Unsayable::Malformed("an address of another platform".to_owned()));
    };
    let fields = vec![
        Field::secret("authorization", authorization.as_bytes()),
        Field::shared("apns-topic", envelope.topic.as_bytes()),
        Field::shared("apns-push-type", push_type(background)),
        Field::shared("apns-priority", priority(push.priority, background)),
        Field::own("apns-expiration", push.expires_at.as_secs().to_string()),
        Field::own("apns-collapse-id", push.item.to_string()),
        Field::own(ID, uuid(push.delivery)),
    ];
    let path = ["/3/device/", token.as_str()].concat().into();
    Ok(Post { authority: envelope.authority.as_str(), path, fields })
}

/// `background` wakes the app silently and must have priority 5; Apple delivers two or three an
/// hour ("Pushing background updates to your App").
fn push_type(background: bool) -> &'static [u8] {
    if background { b"background" } else { b"alert" }
}

fn priority(priority: Priority, background: bool) -> &'static [u8] {
    match priority {
        _ if background => b"5",
        Priority::High => b"10",
        Priority::Normal => b"5",
        Priority::Low => b"1",
    }
}

/// The canonical form of a UUID: lower case, 8-4-4-4-12.
fn uuid(delivery: DeliveryId) -> String {
    let mut text = delivery.to_string();
    for at in [20, 16, 12, 8] {
        text.insert(at, '-');
    }
    text
}

/// Whether it is a background push, and its payload.
pub(super) fn payload(push: &Push) -> Result<(bool, Bytes), Unsayable> {
    let (background, json) = match &push.body {
        PushBody::Show { content, group } => {
            let payload = show(push.item, push.sequence, content, group.as_ref());
            let is_silent = content.visual.is_none();
            match is_silent || push.along.is_empty() {
                true => (is_silent, serde_json::to_vec(&payload)),
                false => (false, with_others(payload, &push.along)),
            }
        }
        PushBody::Sync(state) => {
            let campanile = synced(push.sequence, state, &push.along, MOST_ALONG);
            (true, serde_json::to_vec(&Payload { aps: SILENT, campanile }))
        }
        PushBody::Signal => {
            let campanile = signalled(push.item, push.sequence);
            (true, serde_json::to_vec(&Payload { aps: SILENT, campanile }))
        }
    };
    let json = json.map_err(|error| Unsayable::Malformed(error.to_string()))?;
    check(json.len())?;
    Ok((background, json.into()))
}

fn check(needs: usize) -> Result<(), Unfit> {
    match needs {
        0..=PAYLOAD_LIMIT => Ok(()),
        _ => Err(Unfit { platform: Platform::Apns, limit: PAYLOAD_LIMIT, needs }),
    }
}

/// The JSON of a push: what the system reads, and what the app reads.
#[derive(Serialize)]
struct Payload<'a, Ours> {
    aps: Aps<'a>,
    campanile: Ours,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Aps<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    alert: Option<Alert<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sound: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    badge: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_available: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mutable_content: Option<u8>,
}

#[derive(Serialize)]
struct Alert<'a> {
    title: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
}

/// Wakes the app, shows nothing.
const SILENT: Aps<'static> = Aps {
    alert: None,
    sound: None,
    badge: None,
    thread_id: None,
    content_available: Some(1),
    mutable_content: None,
};

fn show<'a>(
    item: NotificationId,
    sequence: u64,
    content: &'a Content,
    group: Option<&'a Arc<str>>,
) -> Payload<'a, Shown<'static>> {
    let aps = content.visual.as_ref().map_or(SILENT, |visual| drawn(visual, group));
    Payload { aps, campanile: shown(item, sequence, content, None) }
}

fn drawn<'a>(visual: &'a Visual, group: Option<&'a Arc<str>>) -> Aps<'a> {
    Aps {
        alert: Some(Alert { title: &visual.title, body: visual.body.as_deref() }),
        sound: visual.sound.as_deref(),
        badge: visual.badge,
        thread_id: group.map(|group| &**group),
        content_available: None,
        mutable_content: None,
    }
}

/// Adds the states of as many others as there is room for. The app's service extension reads them,
/// if it has one: the system runs it for pushes with `mutable-content` ("Modifying content in newly
/// delivered notifications").
fn with_others(
    mut payload: Payload<'_, Shown<'_>>,
    others: &[Told],
) -> serde_json::Result<Vec<u8>> {
    payload.aps.mutable_content = Some(1);
    let mut room = others.len().min(MOST_ALONG);
    loop {
        payload.campanile.along = along(others, room);
        let json = serde_json::to_vec(&payload)?;
        if json.len() <= PAYLOAD_LIMIT {
            return Ok(json);
        }
        if room == 0 {
            break;
        }
        room /= 2;
    }
    // What fits without the others goes without them.
    payload.aps.mutable_content = None;
    payload.campanile.along = Along::default();
    serde_json::to_vec(&payload)
}

/// Counts what is written.
struct Count(usize);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
