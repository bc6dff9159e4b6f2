//! The scripted platform keeps the contract, and its script.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code"
)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use campanile_core::port::{Pusher, RouteDown};
use campanile_core::{Address, HoldReason, Outcome, Route};
use campanile_testkit::conformance::{OpenPusher, PusherFactory, Trouble};
use campanile_testkit::memory::{ManualClock, Reply, ScriptedPusher};
use campanile_testkit::vocabulary::{START, app, phone, user};

const ROOM: usize = 3;
const PATIENCE: Duration = Duration::from_millis(100);

struct Memory;

struct Open {
    pusher: ScriptedPusher,
    next: Arc<Mutex<Option<Trouble>>>,
    taken: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl PusherFactory for Memory {
    type Open = Open;

    async fn create(&self) -> Open {
        let clock = Arc::new(ManualClock::new(START));
        let pusher = ScriptedPusher::new(clock, ROOM, PATIENCE);
        let open = Open { pusher, next: Arc::default(), taken: Arc::default() };
        let (next, taken) = (open.next.clone(), open.taken.clone());
        open.pusher.answer_with(move |sent| {
            let trouble = next.lock().unwrap().take();
            if trouble != Some(Trouble::Refuse) {
                taken.lock().unwrap().push(sent.push.item.to_string());
            }
            let reason = "as scripted".to_owned();
            match trouble {
                None => Outcome::Accepted { provider_id: reason }.into(),
                Some(Trouble::Refuse) => Outcome::Unprocessed { reason }.into(),
                Some(Trouble::Cut) => Outcome::Indefinite { reason }.into(),
                Some(Trouble::Silence) => Reply::After(PATIENCE, Outcome::Indefinite { reason }),
            }
        });
        let why = RouteDown::Held(HoldReason::Credential);
        open.pusher.take_down(&open.route_without_credential(), why);
        open
    }
}

#[async_trait]
impl OpenPusher for Open {
    fn pusher(&self) -> &dyn Pusher {
        &self.pusher
    }

    fn route(&self) -> Route {
        self.address().route(&app())
    }

    fn route_without_credential(&self) -> Route {
        Route { credential: "com.example.unknown".into(), ..self.route() }
    }

    fn address(&self) -> Arc<Address> {
        phone(1).address(user(1), 1)
    }

    fn room(&self) -> usize {
        ROOM
    }

    async fn trouble(&self, next: Trouble) {
        *self.next.lock().unwrap() = Some(next);
    }

    async fn taken(&self) -> Vec<String> {
        self.taken.lock().unwrap().clone()
    }

    async fn go_down(&self) {
        let why = RouteDown::Unreachable { reason: "down".into() };
        self.pusher.take_down(&self.route(), why);
    }
}

mod contract {
    campanile_testkit::pusher_conformance!(super::Memory);
}
