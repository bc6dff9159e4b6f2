//! The two worlds of APNs.

use std::fmt;

/// A device token belongs to one environment, and so does a host name: a token of the other one
/// is answered with `BadDeviceToken`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Environment {
    /// `api.push.apple.com`: apps from the store.
    Production,
    /// `api.sandbox.push.apple.com`: apps under development.
    Sandbox,
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Production => "production",
            Self::Sandbox => "sandbox",
        })
    }
}
