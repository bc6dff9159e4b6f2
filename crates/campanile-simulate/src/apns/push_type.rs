//! `apns-push-type`, and what each type asks of the topic and of the payload's size.

use std::fmt;

/// The kinds of push (Apple, "Sending notification requests to APNs").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are Apple's, and Apple's table explains them")]
pub enum PushType {
    Alert,
    Background,
    Complication,
    Controls,
    FileProvider,
    LiveActivity,
    Location,
    Mdm,
    PushToTalk,
    Voip,
    Widgets,
}

impl PushType {
    /// Reads the header's value; `None` if Apple documents no such type.
    pub fn parse(value: &[u8]) -> Option<Self> {
        Some(match value {
            b"alert" => Self::Alert,
            b"background" => Self::Background,
            b"complication" => Self::Complication,
            b"controls" => Self::Controls,
            b"fileprovider" => Self::FileProvider,
            b"liveactivity" => Self::LiveActivity,
            b"location" => Self::Location,
            b"mdm" => Self::Mdm,
            b"pushtotalk" => Self::PushToTalk,
            b"voip" => Self::Voip,
            b"widgets" => Self::Widgets,
            _ => return None,
        })
    }

    /// What the topic has after the bundle id.
    pub fn topic_suffix(self) -> &'static str {
        match self {
            Self::Alert | Self::Background | Self::Mdm => "",
            Self::Complication => ".complication",
            Self::Controls => ".push-type.controls",
            Self::FileProvider => ".pushkit.fileprovider",
            Self::LiveActivity => ".push-type.liveactivity",
            Self::Location => ".location-query",
            Self::PushToTalk => ".voip-ptt",
            Self::Voip => ".voip",
            Self::Widgets => ".push-type.widgets",
        }
    }

    /// The largest payload, in bytes.
    pub fn payload_limit(self) -> usize {
        if self == Self::Voip { MAX_VOIP_PAYLOAD } else { MAX_PAYLOAD }
    }
}

/// The largest payload of most types, in bytes.
pub(crate) const MAX_PAYLOAD: usize = 4096;
/// The largest payload of all types, in bytes.
pub(crate) const MAX_VOIP_PAYLOAD: usize = 5120;

impl fmt::Display for PushType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Alert => "alert",
            Self::Background => "background",
            Self::Complication => "complication",
            Self::Controls => "controls",
            Self::FileProvider => "fileprovider",
            Self::LiveActivity => "liveactivity",
            Self::Location => "location",
            Self::Mdm => "mdm",
            Self::PushToTalk => "pushtotalk",
            Self::Voip => "voip",
            Self::Widgets => "widgets",
        })
    }
}
