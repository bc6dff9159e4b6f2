//! What generator and simulators agree upon: the apps under load, and the addresses of devices.

use campanile_proto::v1;

use crate::plan::Plan;
use crate::scenario::Scenario;

/// The app under load.
pub(crate) const APP: &str = "load";
/// The app that publishes too much, where there is one.
pub(crate) const NOISY: &str = "noisy";
/// The name of the app under load at Apple.
pub(crate) const TOPIC: &str = "com.example.load";
/// The name of the noisy one.
pub(crate) const NOISY_TOPIC: &str = "com.example.noisy";
/// The name of the app under load at Google.
pub(crate) const PROJECT: &str = "load-2026";
/// Who sends to Apple's devices, and with which key.
pub(crate) const TEAM: &str = "LOADTEAM01";
pub(crate) const KEY: &str = "LOADKEY001";

/// Digits of an address that are the endpoint's number among its user's, at its end.
const ENDPOINT_DIGITS: usize = 8;
/// Digits before them that are the user's number.
const USER_DIGITS: usize = 12;

/// The token of a device at Apple: 64 hexadecimal digits.
pub(crate) fn apns_token(user: usize, endpoint: usize) -> String {
    format!("{user:056x}{endpoint:08x}")
}

/// The installation of a device at Google.
pub(crate) fn fcm_token(user: usize, endpoint: usize) -> String {
    format!("load-{user:012x}{endpoint:08x}")
}

/// Whose device an address is, and which of theirs.
pub(crate) fn device_of(address: &str) -> Option<(usize, usize)> {
    let rest = address.len().checked_sub(ENDPOINT_DIGITS)?;
    let endpoint = address.get(rest..)?;
    let user = address.get(rest.checked_sub(USER_DIGITS)?..rest)?;
    let number = |digits| usize::from_str_radix(digits, 16).ok();
    Some((number(user)?, number(endpoint)?))
}

/// An app's name at Apple.
pub(crate) fn topic(app: &str) -> &'static str {
    if app == NOISY { NOISY_TOPIC } else { TOPIC }
}

/// The devices of all users: whose, and which of theirs.
pub(crate) fn devices(scenario: &Scenario, plan: &Plan) -> impl Iterator<Item = (usize, usize)> {
    let endpoints = scenario.endpoints;
    (0..plan.users()).flat_map(move |user| (0..endpoints).map(move |endpoint| (user, endpoint)))
}

/// The address of a device of an app, as it is registered.
pub(crate) fn address(scenario: &Scenario, app: &str, user: usize, endpoint: usize) -> v1::Address {
    use v1::address::Platform;
    let platform = if scenario.is_fcm(user, endpoint) {
        let target = Some(v1::fcm_address::Target::Token(fcm_token(user, endpoint)));
        Platform::Fcm(v1::FcmAddress { project: PROJECT.to_owned(), target })
    } else {
        let environment = v1::Environment::Production.into();
        let (token, topic) = (apns_token(user, endpoint), topic(app).to_owned());
        Platform::Apns(v1::ApnsAddress { token, topic, environment })
    };
    v1::Address { platform: Some(platform) }
}

/// A user by the app's own name.
pub(crate) fn user(number: usize) -> v1::Target {
    v1::Target { target: Some(v1::target::Target::UserId(user_id(number))) }
}

/// The app's own name of a user.
pub(crate) fn user_id(number: usize) -> String {
    format!("user-{number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_whose_it_is() {
        for (user, endpoint) in [(0, 0), (399, 4), (999_999, 19)] {
            assert_eq!(device_of(&apns_token(user, endpoint)), Some((user, endpoint)));
            assert_eq!(device_of(&fcm_token(user, endpoint)), Some((user, endpoint)));
        }
        assert_eq!(device_of("nobody's"), None);
    }
}
