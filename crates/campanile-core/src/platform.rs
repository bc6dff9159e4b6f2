//! The platforms, and the routes to them.

use std::fmt;
use std::sync::Arc;

use crate::AppId;

/// A push service family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Platform {
    /// Apple Push Notification service: iOS, iPadOS, macOS, watchOS, tvOS.
    Apns,
    /// Firebase Cloud Messaging: Android.
    Fcm,
    /// Windows Push Notification Services.
    Wns,
    /// Web Push (RFC 8030): browsers.
    WebPush,
}

impl Platform {
    /// Every platform.
    pub const ALL: [Self; 4] = [Self::Apns, Self::Fcm, Self::Wns, Self::WebPush];

    /// The name used in configuration, metrics and role names.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Apns => "apns",
            Self::Fcm => "fcm",
            Self::Wns => "wns",
            Self::WebPush => "webpush",
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of platforms a notification is meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlatformMask(u8);

impl PlatformMask {
    /// Every platform, also ones added later.
    pub const ALL: Self = Self(u8::MAX);

    /// No platform.
    pub const NONE: Self = Self(0);

    /// The set of exactly `platforms`.
    #[must_use]
    pub fn of(platforms: &[Platform]) -> Self {
        Self(platforms.iter().fold(0, |bits, platform| bits | Self::bit(*platform)))
    }

    /// Whether `platform` is in the set.
    #[must_use]
    pub const fn contains(self, platform: Platform) -> bool {
        self.0 & Self::bit(platform) != 0
    }

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The stored form: bit 0 APNs, 1 FCM, 2 WNS, 3 Web Push.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The set stored as `bits`.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    const fn bit(platform: Platform) -> u8 {
        1 << platform as u8
    }
}

/// Which of a platform's worlds an address belongs to; addresses of one are invalid in the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Environment {
    /// Apps as their users have them.
    Production,
    /// Development builds (APNs only).
    Sandbox,
}

impl Environment {
    /// The name used in configuration and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Sandbox => "sandbox",
        }
    }
}

/// The way to a set of endpoints that share credentials and fate. Immutable: other credentials
/// are another route, so a route's health says something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Route {
    /// The tenant.
    pub app: AppId,
    /// The push service.
    pub platform: Platform,
    /// The push service's world.
    pub environment: Environment,
    /// What selects the credential within the app: for APNs the topic (bundle id), for
    /// FCM the project id.
    pub credential: Arc<str>,
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (app, environment) = (&self.app, self.environment.name());
        write!(f, "{app}/{}/{environment}/{}", self.platform, self.credential)
    }
}
