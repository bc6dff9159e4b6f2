//! Good values pass, and each bad one names its field.

#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

use bytes::Bytes;

use super::*;

const DAY: i64 = 86_400;

fn titled(title: &str) -> Option<v1::Content> {
    let visual = v1::Visual { title: title.into(), ..Default::default() };
    Some(v1::Content { visual: Some(visual), raw: None })
}

fn with_body(body: &str) -> Option<v1::Content> {
    let visual = v1::Visual { title: "t".into(), body: Some(body.into()), ..Default::default() };
    Some(v1::Content { visual: Some(visual), raw: None })
}

fn raw(bytes: usize) -> Option<v1::Content> {
    Some(v1::Content { visual: None, raw: Some(Bytes::from(vec![0; bytes])) })
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Violation>, field: &str, reason: &str) {
    let violation = result.unwrap_err();
    assert_eq!(violation.field, field);
    assert!(violation.reason.contains(reason), "{violation}");
}

#[test]
fn content_within_its_limits_passes() {
    for good in ["x", "Orden nº 42 – lista", "\u{2067}שלום\u{2069}", &"é".repeat(256)] {
        assert_eq!(content(titled(good)).unwrap().visual.as_ref().unwrap().title, good);
    }
    assert!(content(with_body(&"b".repeat(4096))).is_ok());
    assert!(content(with_body("two\nlines\tand a tab")).is_ok());
    assert!(content(raw(4096)).is_ok());
}

#[test]
fn content_outside_its_limits_names_the_field() {
    refused(content(None), "content", "must have");
    refused(content(Some(v1::Content::default())), "content", "must have");
    for long in ["", &"é".repeat(257), &"x".repeat(100_000)] {
        refused(content(titled(long)), "content.visual.title", "1 to 256 characters");
    }
    for control in ["a\0b", "a\r\nb", "a\tb", "\u{7f}", "\u{9b}"] {
        refused(content(titled(control)), "content.visual.title", "control character");
    }
    for spoof in ["\u{202e}gnp.exe", "a\u{202d}"] {
        refused(content(titled(spoof)), "content.visual.title", "bidirectional override");
        refused(content(with_body(spoof)), "content.visual.body", "bidirectional override");
    }
    refused(content(with_body(&"b".repeat(4097))), "content.visual.body", "4096 bytes, got 4097");
    refused(content(with_body("a\rb")), "content.visual.body", "control character at byte 1");
    refused(content(raw(0)), "content.raw", "1 to 4096 bytes, got 0");
    refused(content(raw(4097)), "content.raw", "1 to 4096 bytes, got 4097");
}

#[test]
fn spans_and_leases_are_bounded() {
    assert_eq!(span("ttl_seconds", 1), Ok(Duration::from_secs(1)));
    assert_eq!(span("ttl_seconds", 30 * DAY), Ok(Limits::LONGEST_LIFE));
    assert_eq!(lease(60), Ok(Duration::from_secs(60)));
    for bad in [0, -1, 30 * DAY + 1, i64::MAX, i64::MIN] {
        refused(span("ttl_seconds", bad), "ttl_seconds", "1 to 2592000 seconds");
        refused(lease(bad), "lease_seconds", "1 to 2592000 seconds");
    }
}

#[test]
fn instants_are_after_1970_and_whole() {
    let read = |seconds, nanos| instant("at", &prost_types::Timestamp { seconds, nanos });
    assert_eq!(read(1_800_000_000, 5_900_000), Ok(Timestamp::from_millis(1_800_000_000_005)));
    for (seconds, nanos) in [(-1, 0), (1_800_000_001, -1), (1, 1_000_000_000), (i64::MAX, 0)] {
        refused(read(seconds, nanos), "at", "is no valid instant");
    }
}

#[test]
fn names_are_short_and_plain() {
    assert_eq!(name("group", &"k".repeat(255)), Ok(()));
    for bad in ["", &"k".repeat(256)] {
        refused(name("idempotency_key", bad), "idempotency_key", "1 to 255 bytes");
    }
    refused(name("group", "a\nb"), "group", "control character at byte 1");
    for bad in ["", "../", "*", "{p1}", "a\r\nb", &"u".repeat(513), "ü"] {
        assert_eq!(user_id("target.user_id", bad).unwrap_err().field, "target.user_id");
    }
    assert!(user_id("target.user_id", "ada.l+1@example.org").is_ok());
    for bad in ["", "Upper", "a/b", &"a".repeat(65)] {
        assert_eq!(app(bad).unwrap_err().field, "app");
    }
    for bad in ["", "0", "XYZ", &"0".repeat(31), &"A".repeat(32), &"+".repeat(32)] {
        refused(notification_id("notification_id", bad), "notification_id", "32 lower-case");
    }
}

#[test]
fn unknown_words_are_refused() {
    assert_eq!(platforms(&[]), Ok(PlatformMask::ALL));
    let apns = v1::Platform::Apns.into();
    assert_eq!(platforms(&[apns, apns]).unwrap().bits(), 1);
    for bad in [0, 99, -1] {
        refused(platforms(&[apns, bad]), "platforms", "unknown platform");
    }
    assert_eq!(priority(0), Ok(Priority::High));
    assert_eq!(priority(v1::Priority::Low.into()), Ok(Priority::Low));
    refused(priority(99), "priority", "not a known priority");
}

#[test]
fn addresses_keep_the_rules_of_their_platform() {
    let apns = |token: &str, topic: &str, environment| {
        let (token, topic) = (token.to_owned(), topic.to_owned());
        let apns = v1::ApnsAddress { token, topic, environment };
        address(Some(v1::Address { platform: Some(v1::address::Platform::Apns(apns)) }))
    };
    let sandbox = v1::Environment::Sandbox.into();
    assert!(apns("00FFaa", "com.example.app.voip", sandbox).is_ok());
    for bad in ["", "zz", "abc", &"a".repeat(513)] {
        assert_eq!(apns(bad, "com.example", sandbox).unwrap_err().field, "address.apns.token");
    }
    for bad in ["", "com example", "a/b", "a\nb", &"t".repeat(256)] {
        assert_eq!(apns("aa", bad, sandbox).unwrap_err().field, "address.apns.topic");
    }
    for bad in [0, 7] {
        refused(apns("aa", "t", bad), "address.apns.environment", "production or sandbox");
    }
    let fcm = |target, project: &str| {
        let fcm = v1::FcmAddress { target, project: project.to_owned() };
        address(Some(v1::Address { platform: Some(v1::address::Platform::Fcm(fcm)) }))
    };
    let token = |text: &str| Some(v1::fcm_address::Target::Token(text.to_owned()));
    let fid = |text: &str| Some(v1::fcm_address::Target::Fid(text.to_owned()));
    assert!(fcm(token("f1-d_:APA91b"), "bells-0815").is_ok());
    assert!(fcm(fid("f1-d_"), "example.com:bells").is_ok());
    for bad in ["", "a b", "ü", &"a".repeat(4097)] {
        assert_eq!(fcm(token(bad), "bells").unwrap_err().field, "address.fcm.token");
        assert_eq!(fcm(fid(bad), "bells").unwrap_err().field, "address.fcm.fid");
    }
    for bad in ["", "a/b", "a b", &"p".repeat(256)] {
        assert_eq!(fcm(token("t"), bad).unwrap_err().field, "address.fcm.project");
    }
    refused(fcm(None, "bells"), "address.fcm", "must have a token or a fid");
    refused(address(None), "address", "must name");
    refused(address(Some(v1::Address::default())), "address", "must name");
}

#[test]
fn pages_and_batches_are_bounded() {
    assert_eq!(page_size("page_size", None, 50), Ok(50));
    assert_eq!(page_size("page_size", Some(500), 50), Ok(500));
    for bad in [0, -1, 501, 1_000_000_000] {
        refused(page_size("page_size", Some(bad), 50), "page_size", "must be 1 to 500");
    }
    assert_eq!(batch("updates", 500), Ok(()));
    for bad in [0, 501] {
        refused(batch("updates", bad), "updates", "must have 1 to 500 entries");
    }
}
