//! Values of the core in the wire's words.

use campanile_core::{Address, Content, Fallback, FcmTarget, Visual};

use super::words;
use crate::v1;

/// Where a platform finds an endpoint.
#[must_use]
pub fn address_to_wire(address: &Address) -> v1::Address {
    let platform = match address {
        Address::Apns { token, topic, environment } => {
            v1::address::Platform::Apns(v1::ApnsAddress {
                token: token.as_str().to_owned(),
                topic: topic.as_ref().to_owned(),
                environment: words::environment_to_wire(*environment).into(),
            })
        }
        Address::Fcm { target, project } => v1::address::Platform::Fcm(v1::FcmAddress {
            target: Some(match target {
                FcmTarget::Token(it) => v1::fcm_address::Target::Token(it.as_str().to_owned()),
                FcmTarget::Installation(it) => v1::fcm_address::Target::Fid(it.as_str().to_owned()),
            }),
            project: project.as_ref().to_owned(),
        }),
    };
    v1::Address { platform: Some(platform) }
}

/// What is shown where a signal did not bring the app to fetch.
#[must_use]
pub fn fallback_to_wire(fallback: &Fallback) -> v1::Fallback {
    let seconds = fallback.after.as_secs();
    v1::Fallback {
        after_seconds: u32::try_from(seconds).unwrap_or(u32::MAX),
        visual: fallback.content.visual.as_ref().map(visual_to_wire),
    }
}

/// What the system draws.
#[must_use]
pub fn visual_to_wire(visual: &Visual) -> v1::Visual {
    let Visual { title, body, sound, badge } = visual.clone();
    v1::Visual { title, body, sound, badge }
}

/// What devices get; `None` for content that an ended item has no more.
#[must_use]
pub fn content_to_wire(content: &Content) -> Option<v1::Content> {
    let visual = content.visual.as_ref().map(visual_to_wire);
    let raw = content.raw.clone();
    (visual.is_some() || raw.is_some()).then_some(v1::Content { visual, raw })
}
