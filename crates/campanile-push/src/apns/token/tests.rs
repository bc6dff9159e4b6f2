//! When a token is signed anew, and what it says.

use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{DecodingKey, Validation};

use campanile_core::Tick;

use super::*;

/// 2026-11-21T10:00:00Z.
const TEN: u64 = 1_795_255_200;

/// A clock whose hand is moved by hand.
#[derive(Default)]
struct Hands {
    now: AtomicU64,
}

impl Hands {
    fn pass(&self, secs: u64) {
        self.now.fetch_add(secs, Ordering::Relaxed);
    }

    fn set(&self, now: u64) {
        self.now.store(now, Ordering::Relaxed);
    }
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now.load(Ordering::Relaxed) * 1000 + 999)
    }

    fn tick(&self) -> Tick {
        Tick::NEVER
    }
}

fn key() -> (rcgen::KeyPair, Arc<ApnsKey>) {
    let pair = rcgen::KeyPair::generate().expect("a key");
    let key = ApnsKey::new("TEAM000001", "KEY0000001", &pair.serialize_pem()).expect("usable");
    (pair, Arc::new(key))
}

fn token_at(now: u64) -> (Arc<Hands>, ProviderToken) {
    let hands = Arc::new(Hands::default());
    hands.set(now);
    (hands.clone(), ProviderToken::new(key().1, hands))
}

fn part(header: &HeaderValue, at: usize) -> serde_json::Value {
    let token = header.to_str().expect("text").strip_prefix("bearer ").expect("a bearer token");
    let part = token.split('.').nth(at).expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
}

fn issued_at(token: &ProviderToken) -> u64 {
    part(&token.header().expect("signed"), 1)["iat"].as_u64().expect("a number")
}

#[test]
fn it_says_who_we_are_and_the_key_proves_it() {
    let (pair, key) = key();
    let hands = Arc::new(Hands::default());
    hands.set(TEN + 59);
    let header = ProviderToken::new(key, hands).header().expect("signed");
    assert!(header.is_sensitive());
    assert_eq!(part(&header, 0), serde_json::json!({"alg": "ES256", "kid": "KEY0000001"}));
    assert_eq!(part(&header, 1), serde_json::json!({"iss": "TEAM000001", "iat": TEN}));

    let mut validation = Validation::new(Algorithm::ES256);
    validation.required_spec_claims.clear();
    let token = header.to_str().expect("text").strip_prefix("bearer ").expect("a bearer token");
    let public = DecodingKey::from_ec_der(pair.public_key_raw());
    let claims = jsonwebtoken::decode::<serde_json::Value>(token, &public, &validation);
    assert_eq!(claims.expect("a valid signature").claims["iat"], TEN);
}

#[test]
fn it_is_signed_once_per_period_however_many_ask() {
    let (hands, token) = token_at(TEN);
    let first = token.header().expect("signed");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(token.header().expect("signed"), first));
        }
    });
    hands.pass(PERIOD - 1);
    assert_eq!(token.header().expect("signed"), first);
    hands.pass(1);
    assert_ne!(token.header().expect("signed"), first);
    assert_eq!(issued_at(&token), TEN + PERIOD);
}

#[test]
fn those_who_come_first_together_get_one_signature() {
    let (_, token) = token_at(TEN);
    let (token, start) = (&token, &std::sync::Barrier::new(4));
    let ask = || {
        start.wait();
        token.header().expect("signed")
    };
    let headers = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        asking.into_iter().map(|it| it.join().expect("no panic")).collect::<Vec<_>>()
    });
    // ES256 signatures are random: two signings never give the same text.
    assert!(headers.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn kept_by_a_connection_for_its_shortest_use_it_is_never_an_hour_old() {
    let (hands, token) = token_at(TEN);
    for _ in 0..200 {
        let first_use = issued_at(&token);
        assert!(hands.now().as_secs() + SHORTEST_USE.as_secs() - first_use < 3600);
        hands.pass(59);
    }
}

#[test]
fn a_refused_old_token_is_replaced_by_one_of_now() {
    let (hands, token) = token_at(TEN);
    let first = token.header().expect("signed");
    hands.pass(25 * 60);
    token.refused(&first);
    assert_eq!(issued_at(&token), TEN + 25 * 60);
    hands.pass(4 * 60);
    assert_eq!(issued_at(&token), TEN + 25 * 60);
    hands.pass(60);
    assert_eq!(issued_at(&token), TEN + PERIOD);
}

#[test]
fn a_refused_young_token_stays() {
    let (hands, token) = token_at(TEN);
    let first = token.header().expect("signed");
    hands.pass(19 * 60);
    token.refused(&first);
    assert_eq!(token.header().expect("signed"), first);
}

#[test]
fn a_refusal_of_an_earlier_token_changes_nothing() {
    let (hands, token) = token_at(TEN);
    let first = token.header().expect("signed");
    hands.pass(PERIOD);
    let second = token.header().expect("signed");
    hands.pass(25 * 60);
    token.refused(&first);
    assert_eq!(token.header().expect("signed"), second);
}

#[test]
fn a_clock_set_back_a_little_changes_nothing() {
    let (hands, token) = token_at(TEN);
    hands.pass(PERIOD);
    let header = token.header().expect("signed");
    hands.set(TEN + PERIOD - 30);
    assert_eq!(token.header().expect("signed"), header);
}

#[test]
fn a_clock_set_back_a_lot_gives_another_token() {
    let (hands, token) = token_at(TEN + 24 * 3600);
    token.header().expect("signed");
    hands.set(TEN);
    assert_eq!(issued_at(&token), TEN);
}

#[test]
fn neither_key_nor_token_is_printed() {
    let (_, token) = token_at(TEN);
    token.header().expect("signed");
    assert_eq!(format!("{token:?}"), "ProviderToken(ApnsKey(TEAM000001, KEY0000001, …))");
}
