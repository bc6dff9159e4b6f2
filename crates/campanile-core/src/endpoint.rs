//! Endpoints: one app installation of one user on one platform, with its current address.

use std::fmt;
use std::sync::Arc;

use crate::{AppId, Environment, InvalidId, Offset, Platform, RegistrationId, Route, Timestamp};

/// An APNs device token in hexadecimal. Apple says not to assume its length ("Sending
/// notification requests to APNs"); an even count of 2 to 200 digits is taken.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApnsToken(Arc<str>);

impl ApnsToken {
    /// Checks `text` and takes it in lower case.
    ///
    /// # Errors
    /// [`InvalidId`] if it is empty, over 200 digits, odd or not hexadecimal.
    pub fn new(text: &str) -> Result<Self, InvalidId> {
        if text.is_empty() {
            return Err(InvalidId::Empty);
        }
        if text.len() > 200 {
            return Err(InvalidId::TooLong { limit: 200, got: text.len() });
        }
        let allowed = "an even count of hexadecimal digits";
        if let Some(at) = text.bytes().position(|b| !b.is_ascii_hexdigit()) {
            return Err(InvalidId::Character { at, allowed });
        }
        if text.len() % 2 == 1 {
            return Err(InvalidId::Character { at: text.len() - 1, allowed });
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }

    /// The digits, lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApnsToken {
    /// Shows the first digits only: with a stolen key a whole token is enough to send.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApnsToken({}…)", self.0.get(..6).unwrap_or_default())
    }
}

/// An FCM registration token or Firebase Installation ID. Google describes neither; 1 to 4096
/// visible ASCII characters are taken, as they are.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FcmToken(Arc<str>);

impl FcmToken {
    /// Checks and takes `text`.
    ///
    /// # Errors
    /// [`InvalidId`] if it is empty, over 4096 bytes, or has a character that is not visible ASCII.
    pub fn new(text: &str) -> Result<Self, InvalidId> {
        if text.is_empty() {
            return Err(InvalidId::Empty);
        }
        if text.len() > 4096 {
            return Err(InvalidId::TooLong { limit: 4096, got: text.len() });
        }
        if let Some(at) = text.bytes().position(|b| !b.is_ascii_graphic()) {
            return Err(InvalidId::Character { at, allowed: "visible ASCII characters" });
        }
        Ok(Self(text.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for FcmToken {
    /// Shows the first characters only, as [`ApnsToken`] does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FcmToken({}…)", self.0.get(..6).unwrap_or_default())
    }
}

/// What FCM knows an app installation by (FCM HTTP v1, `Message`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FcmTarget {
    /// A registration token. Google wants it replaced by the installation id.
    Token(FcmToken),
    /// A Firebase Installation ID.
    Installation(FcmToken),
}

/// Where a platform finds an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// An app installation on an Apple device.
    Apns {
        /// The device token.
        token: ApnsToken,
        /// The topic: the app's bundle id.
        topic: Arc<str>,
        /// Which of Apple's worlds issued the token.
        environment: Environment,
    },
    /// An app installation on an Android device.
    Fcm {
        /// The installation.
        target: FcmTarget,
        /// The id of the Firebase project that the app belongs to.
        project: Arc<str>,
    },
}

impl Address {
    /// The platform the address belongs to.
    #[must_use]
    pub const fn platform(&self) -> Platform {
        match self {
            Self::Apns { .. } => Platform::Apns,
            Self::Fcm { .. } => Platform::Fcm,
        }
    }

    /// What names the app installation to the platform: which of the platform's kinds of address
    /// it is, and the address. What else there is says how to get there.
    #[must_use]
    pub fn token(&self) -> (&'static str, &str) {
        match self {
            Self::Apns { token, .. } => ("apns", token.as_str()),
            Self::Fcm { target: FcmTarget::Token(token), .. } => ("fcm token", token.as_str()),
            Self::Fcm { target: FcmTarget::Installation(id), .. } => ("fcm fid", id.as_str()),
        }
    }

    /// The route that leads there for `app`.
    #[must_use]
    pub fn route(&self, app: &AppId) -> Route {
        match self {
            Self::Apns { topic, environment, .. } => Route {
                app: app.clone(),
                platform: Platform::Apns,
                environment: *environment,
                credential: topic.clone(),
            },
            Self::Fcm { project, .. } => Route {
                app: app.clone(),
                platform: Platform::Fcm,
                environment: Environment::Production,
                credential: project.clone(),
            },
        }
    }
}

/// What is pushed to an endpoint, as its app asks for at registration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PushStyle {
    /// What there is to show or to tell.
    #[default]
    Payload,
    /// Silently, that something changed and nothing else: the app fetches it itself. No platform
    /// gets to see what a user is told.
    Signal,
    /// Nothing: the app fetches when it wants to.
    None,
}

impl PushStyle {
    /// The word for timelines, command line and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Payload => "payload",
            Self::Signal => "signal",
            Self::None => "none",
        }
    }
}

/// A live endpoint, as the fold knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The current registration.
    pub registration: RegistrationId,
    /// The current address.
    pub address: Arc<Address>,
    /// What is pushed there.
    pub style: PushStyle,
    /// The first registration of this unbroken life: posts before it are not for this endpoint. A
    /// life without pushes is one of its own.
    pub since: Offset,
    /// When the current registration was recorded.
    pub registered_at: Timestamp,
    /// When the registration lapses unless it is renewed.
    pub lease_until: Timestamp,
}

impl Endpoint {
    /// Whether it is shown the fallback of what it was signalled and has not fetched: on Apple
    /// devices the system may drop what wakes an app silently.
    #[must_use]
    pub fn falls_back(&self) -> bool {
        self.style == PushStyle::Signal && self.address.platform() == Platform::Apns
    }
}

/// Why an endpoint stopped being one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RetireReason {
    /// The app or the user asked for it.
    Unregistered,
    /// The platform said that the address is gone.
    AddressGone,
    /// The lease ran out.
    Lapsed,
    /// Its address was registered by another endpoint: the device changed hands, or the app was
    /// installed again.
    Moved,
}

impl RetireReason {
    /// The word for logs, timelines and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unregistered => "unregistered",
            Self::AddressGone => "address gone",
            Self::Lapsed => "lapsed",
            Self::Moved => "moved",
        }
    }
}

/// What is remembered of a retired endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// The registration that was current.
    pub registration: RegistrationId,
    /// The event that retired it.
    pub at: Offset,
    /// When.
    pub time: Timestamp,
    /// Why.
    pub reason: RetireReason,
}
