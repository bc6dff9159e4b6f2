//! How what routes owe is stored in the file of the groups' progress.
//!
//! ```text
//! holds: count u16, then each:
//!   app length u8 · app · platform u8 · environment u8 · credential length u16 · credential
//!   why u8 · since u64 (ms) · next u64 · ranges u16 · ranges × (start u64 · end u64)
//! ```

use std::ops::Range;

use bytes::{Buf, BufMut};
use campanile_core::port::Hold;
use campanile_core::{AppId, Environment, HoldReason, Offset, Platform, Route, Timestamp};

/// The stored numbers: the place in the list. They never change; add at the end.
const PLATFORMS: [Platform; 4] = [Platform::Apns, Platform::Fcm, Platform::Wns, Platform::WebPush];
const ENVIRONMENTS: [Environment; 2] = [Environment::Production, Environment::Sandbox];
const REASONS: [HoldReason; 4] = [
    HoldReason::Credential,
    HoldReason::Throttled,
    HoldReason::BadAddresses,
    HoldReason::Unreachable,
];

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
    for Hold { route, why, since, next, finished } in holds {
        let (app, credential) = (route.app.as_str(), &route.credential);
        // Longer ones are refused where progress is committed.
        bytes.put_u8(u8::try_from(app.len()).unwrap_or(u8::MAX));
        bytes.put_slice(app.as_bytes());
        bytes.put_u8(number(&PLATFORMS, &route.platform));
        bytes.put_u8(number(&ENVIRONMENTS, &route.environment));
        bytes.put_u16_le(u16::try_from(credential.len()).unwrap_or(u16::MAX));
        bytes.put_slice(credential.as_bytes());
        bytes.put_u8(number(&REASONS, why));
        bytes.put_u64_le(since.as_millis());
        bytes.put_u64_le(next.0);
        put_ranges(bytes, finished);
    }
}

pub(super) fn get(content: &mut &[u8]) -> Option<Vec<Hold>> {
    let holds = content.try_get_u16_le().ok()?;
    (0..holds).map(|_| hold(content)).collect()
}

/// Whether the names of all routes are short enough to be stored.
pub(super) fn fit(holds: &[Hold]) -> bool {
    let fits = |route: &Route| {
        route.app.as_str().len() <= usize::from(u8::MAX)
            && route.credential.len() <= usize::from(u16::MAX)
    };
    holds.iter().all(|hold| fits(&hold.route))
}

fn hold(content: &mut &[u8]) -> Option<Hold> {
    let length = usize::from(content.try_get_u8().ok()?);
    let app = AppId::new(text(content, length)?).ok()?;
    let platform = *PLATFORMS.get(usize::from(content.try_get_u8().ok()?))?;
    let environment = *ENVIRONMENTS.get(usize::from(content.try_get_u8().ok()?))?;
    let length = usize::from(content.try_get_u16_le().ok()?);
    let credential = text(content, length)?.into();
    let why = *REASONS.get(usize::from(content.try_get_u8().ok()?))?;
    let since = Timestamp::from_millis(content.try_get_u64_le().ok()?);
    let next = Offset(content.try_get_u64_le().ok()?);
    let finished = get_ranges(content)?;
    let route = Route { app, platform, environment, credential };
    Some(Hold { route, why, since, next, finished })
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
