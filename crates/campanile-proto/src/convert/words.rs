//! Enumerations: the core's words and the wire's.
//!
//! The wire's have a value for "not said", for which there is no core word: `*_from_wire` answers
//! `None`, and the caller decides whether that is a default or an error.

use campanile_core::{
    DeadReason, Ended, Environment, HoldReason, Platform, PostVerdict, Priority, PushStyle,
    RetireReason, Suppression, UserAction,
};

use crate::v1;

macro_rules! words {
    ($core:ident, $to:ident, $from:ident, $($variant:ident),+) => {
        /// The wire's word.
        #[must_use]
        pub const fn $to(word: $core) -> v1::$core {
            match word {
                $($core::$variant => v1::$core::$variant,)+
            }
        }

        /// The core's word, or `None` if none was said.
        #[must_use]
        pub const fn $from(word: v1::$core) -> Option<$core> {
            match word {
                v1::$core::Unspecified => None,
                $(v1::$core::$variant => Some($core::$variant),)+
            }
        }
    };
}

words!(Platform, platform_to_wire, platform_from_wire, Apns, Fcm, Wns, WebPush);
words!(Environment, environment_to_wire, environment_from_wire, Production, Sandbox);
words!(Priority, priority_to_wire, priority_from_wire, Low, Normal, High);
words!(UserAction, action_to_wire, action_from_wire, None, Activated, Dismissed, Snoozed);
words!(DeadReason, dead_to_wire, dead_from_wire, Rejected, AddressGone, GaveUp, Expired);
words!(Ended, ended_to_wire, ended_from_wire, Expired, Deleted, Recalled);
words!(PostVerdict, verdict_to_wire, verdict_from_wire, Accepted, Repeated, Conflicted);
words!(PushStyle, style_to_wire, style_from_wire, Payload, Signal, None);
words!(RetireReason, retire_to_wire, retire_from_wire, Unregistered, AddressGone, Lapsed, Moved);
words!(
    Suppression,
    suppression_to_wire,
    suppression_from_wire,
    Handled,
    Expired,
    Recalled,
    Deleted,
    Superseded,
    EndpointGone,
    Fetched
);
words!(HoldReason, hold_to_wire, hold_from_wire, Credential, Throttled, BadAddresses, Unreachable);
