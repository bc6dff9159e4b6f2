//! Identities.

use campanile_core::{
    ApnsToken, AppId, DeliveryId, EndpointId, Generation, IdentityKey, InvalidId, LogIdentity,
    NotificationId, Offset, UserId, UserRef,
};
use proptest::prelude::*;

fn bytes() -> impl Strategy<Value = [u8; 16]> {
    any::<[u8; 16]>()
}

fn log(partitions: u16) -> LogIdentity {
    LogIdentity { id: [0; 16], generation: Generation(0), partitions }
}

proptest! {
    #[test]
    fn an_id_reads_back_as_printed(bytes in bytes()) {
        let id = NotificationId::from_bytes(bytes);
        prop_assert_eq!(NotificationId::parse(&id.to_string()), Ok(id));
        prop_assert_eq!(id.to_string().len(), 32);
        let id = UserRef::from_bytes(bytes);
        prop_assert_eq!(UserRef::parse(&id.to_string()), Ok(id));
        prop_assert_eq!(id.as_bytes(), &bytes);
    }

    #[test]
    fn only_the_printed_form_is_an_id(text in ".{0,40}") {
        if let Ok(id) = EndpointId::parse(&text) {
            prop_assert_eq!(id.to_string(), text);
        }
    }

    #[test]
    fn an_item_alone_finds_its_users_partition(
        user in bytes(),
        key in any::<[u8; 32]>(),
        name in ".{0,20}",
        random in bytes(),
        partitions in 1..=u16::MAX,
    ) {
        let (user, key) = (UserRef::from_bytes(user), IdentityKey::new(key));
        let request = key.request(user, &name);
        let ids = [
            key.item(user, &name),
            key.item_of_request(user, request),
            NotificationId::random(user, random),
        ];
        let partition = log(partitions).partition_of(user);
        prop_assert!(partition.0 < partitions);
        for id in ids {
            prop_assert_eq!(id.prefix(), user.prefix());
            prop_assert_eq!(id.prefix() % partitions, partition.0);
        }
    }

    #[test]
    fn names_are_told_apart(
        one in ("[a-z]{0,6}", "[a-z]{0,6}"),
        other in ("[a-z]{0,6}", "[a-z]{0,6}"),
        key in any::<[u8; 32]>(),
    ) {
        let key = IdentityKey::new(key);
        let name = |(app, user): &(String, String)| {
            Some(key.user(&AppId::new(app).ok()?, &UserId::new(user).ok()?))
        };
        if let (Some(a), Some(b)) = (name(&one), name(&other)) {
            prop_assert_eq!(a == b, one == other);
        }
    }

    #[test]
    fn deliveries_are_told_apart(
        one in (0..3_u8, 0..5_u64, 0..3_u8),
        other in (0..3_u8, 0..5_u64, 0..3_u8),
    ) {
        let id = |(item, cause, endpoint): (u8, u64, u8)| {
            let (item, endpoint) = ([item; 16], [endpoint; 16]);
            let item = NotificationId::from_bytes(item);
            DeliveryId::new(item, Offset(cause), EndpointId::from_bytes(endpoint))
        };
        prop_assert_eq!(id(one) == id(other), one == other);
    }

    #[test]
    fn no_text_makes_a_name_panic(text in any::<String>()) {
        let accepted = AppId::new(&text).is_ok();
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        prop_assert_eq!(accepted, (1..=64).contains(&text.len()) && text.chars().all(allowed));
        let _ = UserId::new(&text);
        let _ = ApnsToken::new(&text);
    }
}

#[test]
fn what_is_wrong_with_a_name_is_told() {
    assert_eq!(AppId::new(""), Err(InvalidId::Empty));
    assert_eq!(AppId::new(&"a".repeat(65)), Err(InvalidId::TooLong { limit: 64, got: 65 }));
    assert!(matches!(AppId::new("my App"), Err(InvalidId::Character { at: 2, .. })));
    assert!(AppId::new("my-app.v1_2").is_ok());
    assert_eq!(UserId::new("").err(), Some(InvalidId::Empty));
    let long = "u".repeat(513);
    assert_eq!(UserId::new(&long).err(), Some(InvalidId::TooLong { limit: 512, got: 513 }));
    assert!(matches!(UserId::new("../a").err(), Some(InvalidId::Character { at: 2, .. })));
    assert!(UserId::new("auth0|5f7c@example.com").is_ok());
}

#[test]
fn an_id_is_thirty_two_lower_case_hexadecimal_digits() {
    let id = "00112233445566778899aabbccddeeff";
    assert!(UserRef::parse(id).is_ok());
    let signed = format!("+{}", &id[1..]);
    for wrong in ["", &id[1..], &id.to_uppercase(), &signed, &format!("{id}0")] {
        assert_eq!(UserRef::parse(wrong), Err(InvalidId::NotHex { digits: 32 }), "{wrong}");
    }
}

#[test]
fn a_device_token_is_an_even_count_of_hexadecimal_digits() {
    assert_eq!(ApnsToken::new("00FCab").unwrap().as_str(), "00fcab");
    assert_eq!(ApnsToken::new("").err(), Some(InvalidId::Empty));
    assert!(matches!(ApnsToken::new("abc").err(), Some(InvalidId::Character { at: 2, .. })));
    assert!(matches!(ApnsToken::new("abxd").err(), Some(InvalidId::Character { at: 2, .. })));
    assert!(ApnsToken::new(&"a".repeat(200)).is_ok());
    assert!(matches!(ApnsToken::new(&"a".repeat(202)), Err(InvalidId::TooLong { .. })));
}

#[test]
fn personal_data_and_secrets_are_never_printed() {
    let token = "c0ffee".repeat(8);
    let token = format!("{:?}", ApnsToken::new(&token).unwrap());
    let user = format!("{:?}", UserId::new("ada@example.com").unwrap());
    let key = format!("{:?}", IdentityKey::new([0xab; 32]));
    assert!(!token.contains("c0ffeec0ffee"), "{token}");
    assert!(!user.contains("ada"), "{user}");
    assert!(!key.contains("171") && !key.to_lowercase().contains("ab,"), "{key}");
}

#[test]
fn names_that_read_alike_end_to_end_are_told_apart() {
    let key = IdentityKey::new([5; 32]);
    let name = |app, user| key.user(&AppId::new(app).unwrap(), &UserId::new(user).unwrap());
    assert_ne!(name("ab", "c"), name("a", "bc"));
}

#[test]
fn an_app_has_a_key_of_its_own() {
    let root = [5; 32];
    let (one, other) = (AppId::new("one").unwrap(), AppId::new("other").unwrap());
    let user = UserId::new("ada").unwrap();
    let name = |app: &AppId, under: &AppId| IdentityKey::of_app(&root, under).user(app, &user);
    assert_eq!(name(&one, &one), name(&one, &one));
    assert_ne!(name(&one, &one), name(&one, &other));
    assert_ne!(name(&one, &one), name(&other, &one));
}
