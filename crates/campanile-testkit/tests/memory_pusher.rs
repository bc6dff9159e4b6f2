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

/// What makes it useful in tests.
mod script {
    use campanile_core::port::{Push, PushBody};
    use campanile_core::{Content, DeliveryId, EndpointId, Offset, Priority};
    use campanile_testkit::memory::TokioClock;
    use campanile_testkit::vocabulary::item;

    use super::*;

    fn push(revision: u32) -> Push {
        let (id, cause) = (item(user(1), "a"), Offset(revision.into()));
        Push {
            delivery: DeliveryId::new(id, cause, EndpointId::from_bytes([1; 16])),
            address: phone(1).address(user(1), 1),
            item: id,
            sequence: cause.0,
            priority: Priority::High,
            expires_at: START,
            body: PushBody::Show { content: Arc::new(Content::default()), group: None },
            along: Vec::new(),
        }
    }

    async fn send(pusher: &ScriptedPusher, revision: u32) -> Outcome {
        let push = push(revision);
        let slot = pusher.slot(&push.address.route(&app())).await.unwrap();
        slot.send(push).await
    }

    #[tokio::test(start_paused = true)]
    async fn replies_are_used_up_in_order_and_then_everything_is_accepted() {
        let pusher = ScriptedPusher::new(Arc::new(TokioClock::new(START)), ROOM, PATIENCE);
        let busy = Outcome::Indefinite { reason: "busy".into() };
        let wait = Duration::from_secs(3);
        pusher.script([Reply::Now(busy.clone()), Reply::After(wait, busy.clone())]);
        assert_eq!(send(&pusher, 1).await, busy);
        assert_eq!(send(&pusher, 2).await, busy);
        assert!(matches!(send(&pusher, 3).await, Outcome::Accepted { .. }));
        let sent = pusher.sent();
        let times: Vec<_> = sent.iter().map(|it| (it.push.sequence, it.at)).collect();
        assert_eq!(times, [(1, START), (2, START), (3, START.after(wait))]);
        assert_eq!(sent[2].tick.since(sent[0].tick), wait);
    }

    #[tokio::test]
    async fn a_test_waits_until_pushes_arrived() {
        let pusher = ScriptedPusher::new(Arc::new(ManualClock::new(START)), ROOM, PATIENCE);
        let send = async {
            for revision in 1..=3 {
                send(&pusher, revision).await;
            }
        };
        let (arrived, ()) = futures::join!(pusher.wait_for(2), send);
        assert!(arrived.len() >= 2);
        assert_eq!(pusher.wait_for(3).await.len(), 3);
    }

    #[tokio::test]
    async fn a_route_that_is_up_again_has_room() {
        let pusher = ScriptedPusher::new(Arc::new(ManualClock::new(START)), ROOM, PATIENCE);
        let route = push(1).address.route(&app());
        let down = RouteDown::Unreachable { reason: "down".into() };
        pusher.take_down(&route, down.clone());
        assert_eq!(pusher.slot(&route).await.err(), Some(down));
        pusher.bring_up(&route);
        assert!(pusher.slot(&route).await.is_ok());
    }
}
