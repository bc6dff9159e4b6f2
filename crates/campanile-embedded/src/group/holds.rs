//! How what routes owe is stored in the file of the groups' progress.
//!
//! ```text
//! holds: count u16, then each:
//!   app length u8 · app · platform u8 · environment u8 · credential length u16 · credential
//!   what u8 · since u64 (ms) · next u64 · ranges u16 · ranges × (start u64 · end u64)
//! ```
//!
//! The lower half of `what` is why it is held, 15 if it is not, and the upper half which events it is
//! about: 1 the urgent ones, 2 the bulk. 0, from before these were told apart, is both.

use std::ops::Range;

use bytes::{Buf, BufMut};
use campanile_core::port::Hold;
use campanile_core::{AppId, Environment, HoldReason, Offset, Platform, Route, Timestamp, Urgency};

/// The stored numbers: the place in the list. They never change; add at the end.
const PLATFORMS: [Platform; 4] = [Platform::Apns, Platform::Fcm, Platform::Wns, Platform::WebPush];
const ENVIRONMENTS: [Environment; 2] = [Environment::Production, Environment::Sandbox];
const REASONS: [HoldReason; 4] = [
    HoldReason::Credential,
    HoldReason::Throttled,
    HoldReason::BadAddresses,
    HoldReason::Unreachable,
];

const URGENCIES: [Urgency; 2] = [Urgency::Urgent, Urgency::Bulk];
/// The route sends.
const NOT_HELD: u8 = 15;

pub(super) fn put_ranges(bytes: &mut Vec<u8>, ranges: &[Range<u64>]) {
    bytes.put_u16_le(u16::try_from(ranges.len()).unwrap_or(u16::MAX));
    for range in ranges {
        bytes.put_u64_le(range.start);
        bytes.put_u64_le(range.end);
    }
}

pub(super) fn get_ranges(content: &mut &[u8]) -> Option<Vec<Range<u64>>> {
    let ranges = content.try_get_u16_le().ok()?;
    let mut range = || Some(content.try_get_u64_le().ok()?..content.try_get_u64_le().ok()?);
    (0..ranges).map(|_| range()).collect()
}

pub(super) fn put(bytes: &mut Vec<u8>, holds: &[Hold]) {
    bytes.put_u16_le(u16::try_from(holds.len()).unwrap_or(u16::MAX));
    for Hold { route, urgency, why, since, next, finished } in holds {
        let (app, credential) = (route.app.as_str(), &route.credential);
        // Longer ones are refused where progress is committed.
        bytes.put_u8(u8::try_from(app.len()).unwrap_or(u8::MAX));
        bytes.put_slice(app.as_bytes());
        bytes.put_u8(number(&PLATFORMS, &route.platform));
        bytes.put_u8(number(&ENVIRONMENTS, &route.environment));
        bytes.put_u16_le(u16::try_from(credential.len()).unwrap_or(u16::MAX));
        bytes.put_slice(credential.as_bytes());
        let why = why.map_or(NOT_HELD, |why| number(&REASONS, &why));
        bytes.put_u8((number(&URGENCIES, urgency) + 1) << 4 | why);
        bytes.put_u64_le(since.as_millis());
        bytes.put_u64_le(next.0);
        put_ranges(bytes, finished);
    }
}

pub(super) fn get(content: &mut &[u8]) -> Option<Vec<Hold>> {
    let holds = content.try_get_u16_le().ok()?;
    let mut found = Vec::new();
    for _ in 0..holds {
        found.extend(hold(content)?);
    }
    Some(found)
}

/// Whether the names of all routes are short enough to be stored.
pub(super) fn fit(holds: &[Hold]) -> bool {
    let fits = |route: &Route| {
        route.app.as_str().len() <= usize::from(u8::MAX)
            && route.credential.len() <= usize::from(u16::MAX)
    };
    holds.iter().all(|hold| fits(&hold.route))
}

/// One hold, or two if it is about both urgencies.
fn hold(content: &mut &[u8]) -> Option<Vec<Hold>> {
    let length = usize::from(content.try_get_u8().ok()?);
    let app = AppId::new(text(content, length)?).ok()?;
    let platform = *PLATFORMS.get(usize::from(content.try_get_u8().ok()?))?;
    let environment = *ENVIRONMENTS.get(usize::from(content.try_get_u8().ok()?))?;
    let length = usize::from(content.try_get_u16_le().ok()?);
    let credential = text(content, length)?.into();
    let what = content.try_get_u8().ok()?;
    let why = match what & 15 {
        NOT_HELD => None,
        why => Some(*REASONS.get(usize::from(why))?),
    };
    let about = match usize::from(what >> 4).checked_sub(1) {
        None => &URGENCIES[..],
        Some(at) => URGENCIES.get(at..=at)?,
    };
    let since = Timestamp::from_millis(content.try_get_u64_le().ok()?);
    let next = Offset(content.try_get_u64_le().ok()?);
    let finished = get_ranges(content)?;
    let route = Route { app, platform, environment, credential };
    let hold = |urgency: &Urgency| {
        let (route, finished) = (route.clone(), finished.clone());
        Hold { route, urgency: *urgency, why, since, next, finished }
    };
    Some(about.iter().map(hold).collect())
}

fn text<'a>(content: &mut &'a [u8], length: usize) -> Option<&'a str> {
    let (text, rest) = content.split_at_checked(length)?;
    *content = rest;
    std::str::from_utf8(text).ok()
}

fn number<T: PartialEq>(list: &[T], value: &T) -> u8 {
    let at = list.iter().position(|it| it == value);
    at.and_then(|at| u8::try_from(at).ok()).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]

    use super::*;

    fn hold(urgency: Urgency, why: Option<HoldReason>) -> Hold {
        let (environment, credential) = (Environment::Production, "com.acme.app".into());
        let (app, platform) = (AppId::new("acme").unwrap(), Platform::Apns);
        let route = Route { app, platform, environment, credential };
        let finished = std::iter::once(7..9).collect();
        Hold { route, urgency, why, since: Timestamp::from_millis(5), next: Offset(3), finished }
    }

    #[test]
    fn what_was_stored_before_urgencies_were_told_apart_is_about_both() {
        let why = Some(HoldReason::Throttled);
        let mut bytes = Vec::new();
        put(&mut bytes, &[hold(Urgency::Urgent, why)]);
        // Behind the count, the app, platform, environment and credential.
        let what = bytes.get_mut(2 + 1 + 4 + 2 + 2 + 12).unwrap();
        assert_eq!(*what, 0x11);
        *what = 0x01;
        let both = [Urgency::Urgent, Urgency::Bulk].map(|urgency| hold(urgency, why));
        assert_eq!(get(&mut &bytes[..]), Some(both.to_vec()));
    }

    #[test]
    fn what_no_version_wrote_is_not_read() {
        for what in [0x35, 0x14, 0x1e] {
            let mut bytes = Vec::new();
            put(&mut bytes, &[hold(Urgency::Bulk, None)]);
            let at = bytes.get_mut(2 + 1 + 4 + 2 + 2 + 12).unwrap();
            assert_eq!(std::mem::replace(at, what), 0x2f);
            assert_eq!(get(&mut &bytes[..]), None, "{what:x}");
        }
    }
}
