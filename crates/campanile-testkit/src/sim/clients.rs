//! Producers, devices and their users: what is asked of the edge.

mod devices;
mod inbox;
mod operator;
mod publish;
mod replica;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use campanile_core::port::{Entropy, Stream, Untraced};
use campanile_core::{
    Address, ApnsToken, Environment, FcmTarget, FcmToken, IdentityKey, NotificationId, UserId,
    UserRef,
};
use campanile_engine::edge::{Edge, Names, Target};
use campanile_engine::gateway::Gateway;
use campanile_engine::ingest::{Ingest, Quotas};
use campanile_engine::seal::Seal;
use campanile_engine::{Error, RequestContext};

pub(crate) use self::devices::{Device, Reached};
pub(crate) use self::replica::Replica;
use super::fuse::Fuse;
use super::held;
use super::journal::{Answer, Call};
use super::projection::SimProjection;
use super::random::Random;
use super::roles::Ground;
use super::stage::Stage;
use crate::vocabulary::{app, user_id};

/// The roles that serve requests, in one incarnation.
#[derive(Clone)]
pub(crate) struct Front {
    pub(crate) ingest: Arc<Ingest>,
    pub(crate) gateway: Arc<Gateway>,
}

/// Everybody who calls.
pub(crate) struct Clients {
    pub(crate) ground: Ground,
    pub(crate) random: Random,
    names: Names,
    front: Mutex<Option<Front>>,
    book: Mutex<Book>,
}

/// What the clients remember.
#[derive(Default)]
struct Book {
    devices: Vec<Device>,
    calls: Vec<Call>,
    /// Items by user, as far as somebody knows of them.
    items: BTreeMap<usize, Vec<NotificationId>>,
    keys: Vec<(usize, String)>,
    synced: BTreeMap<usize, Replica>,
    watched: BTreeMap<usize, Replica>,
    number: u64,
}

/// Where the app on a device is registered with its platform.
fn address(device: &Device) -> Option<Address> {
    let credential = device.credential.into();
    match device.reached {
        Reached::Apple => {
            let token = ApnsToken::new(&device.token).ok()?;
            let environment = Environment::Production;
            Some(Address::Apns { token, topic: credential, environment })
        }
        Reached::Token => {
            let target = FcmTarget::Token(FcmToken::new(&device.token).ok()?);
            Some(Address::Fcm { target, project: credential })
        }
        Reached::Installation => {
            let target = FcmTarget::Installation(FcmToken::new(&device.token).ok()?);
            Some(Address::Fcm { target, project: credential })
        }
    }
}

impl Clients {
    pub(crate) fn new(ground: Ground, seed: u64) -> Self {
        let clients = Self {
            ground,
            random: Random::new(seed, 0xc11e),
            names: Names::new([0x6e; 32]),
            front: Mutex::default(),
            book: Mutex::default(),
        };
        clients.restart_front();
        clients.buy_devices();
        clients
    }

    /// A new incarnation of the roles that serve requests: what they remembered is gone.
    pub(crate) fn restart_front(&self) {
        let Ground { stage, logs, projection, entropy, telemetry, planted, .. } =
            self.ground.clone();
        let (who, fuse) = ("edge", Arc::<Fuse>::default());
        let drawn: Arc<dyn Entropy> = entropy;
        let Ok(seal) = Seal::new(&[0x5e; 32], drawn.clone()) else { return };
        let edge = Edge {
            events: logs.of(who, Stream::Events, &fuse),
            receipts: logs.of(who, Stream::Receipts, &fuse),
            clock: Arc::new(stage.clock.clone()),
            projection: Arc::new(SimProjection { stage, inner: projection, who, fuse }),
            names: self.names.clone(),
            seal: Arc::new(seal),
            entropy: drawn,
            telemetry,
            tracer: Arc::new(Untraced),
        };
        let ingest =
            Arc::new(Ingest::new(edge.clone(), BTreeMap::new(), Quotas::default(), planted));
        *held(&self.front) = Some(Front { ingest, gateway: Arc::new(Gateway::new(edge)) });
        held(&self.book).devices.iter_mut().for_each(Device::forget_calls);
    }

    /// The present incarnation.
    pub(crate) fn front(&self) -> Option<Front> {
        held(&self.front).clone()
    }

    pub(crate) fn stage(&self) -> &Stage {
        &self.ground.stage
    }

    pub(crate) fn key(&self) -> IdentityKey {
        self.names.of(&app())
    }

    pub(crate) fn id_of(user: usize) -> UserId {
        user_id(u16::try_from(user).unwrap_or(u16::MAX))
    }

    pub(crate) fn user_ref(&self, user: usize) -> UserRef {
        self.key().user(&app(), &Self::id_of(user))
    }

    fn any_user(&self) -> usize {
        self.random.index(self.ground.setup.users)
    }

    /// A context with a trace of its own.
    fn context(&self) -> (RequestContext, String) {
        let mut book = held(&self.book);
        book.number += 1;
        let tag = format!("call-{}", book.number);
        let context = RequestContext {
            app: app(),
            caller: "simulated".into(),
            request_id: tag.as_str().into(),
            trace: Some(tag.as_str().into()),
        };
        (context, tag)
    }

    /// A context for a call whose event nobody looks for.
    pub(crate) fn context_at_rest(&self) -> RequestContext {
        self.context().0
    }

    /// Takes note that a call is made; its answer is open until it is told.
    fn called(&self, tag: &str, item: Option<NotificationId>, is_publish: bool) {
        let call = Call { tag: tag.to_owned(), item, is_publish, answer: Answer::Open };
        held(&self.book).calls.push(call);
    }

    fn answered(&self, tag: &str, item: Option<NotificationId>, answer: Answer) {
        self.stage().note(format_args!("{tag} {item:?} is answered {answer:?}"));
        let mut book = held(&self.book);
        let call = book.calls.iter_mut().rev().find(|call| call.tag == tag && call.item == item);
        if let Some(call) = call {
            call.answer = answer;
        }
    }

    /// An answer that no client should get.
    fn surprised(&self, what: &str, error: &Error) {
        match error {
            Error::Bug { .. } => self.stage().broken("edge", format!("{what}: {error}")),
            Error::Unavailable { .. } => self.stage().reach("request unavailable"),
            Error::Exhausted { .. } => self.stage().reach("request refused for now"),
            Error::Indefinite { .. } => self.stage().reach("request indefinite"),
            Error::NotFound { .. } => self.stage().reach("not found"),
            Error::Conflict => self.stage().reach("conflict refused"),
            Error::Invalid { .. } => self.stage().reach("request invalid"),
            Error::OutOfRange { .. } => self.stage().reach("out of range"),
        }
    }

    /// The user, named as an app's server does, or by one of the user's devices.
    fn target(&self, user: usize) -> (Target, Option<usize>) {
        let book = held(&self.book);
        let own: Vec<_> = book
            .devices
            .iter()
            .enumerate()
            .filter_map(|(at, device)| Some((at, device.handle_of(user)?)))
            .collect();
        if let Some((device, unsid)) = self.random.pick(&own).filter(|_| self.random.chance(700)) {
            return (Target::Unsid(unsid.clone()), Some(*device));
        }
        (Target::User(Self::id_of(user)), None)
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        held(&self.book).calls.clone()
    }

    pub(crate) fn devices(&self) -> Vec<Device> {
        held(&self.book).devices.clone()
    }

    /// Something somebody does.
    pub(crate) async fn act(self: Arc<Self>) {
        match self.random.below(107) {
            0..12 => self.register().await,
            12..16 => self.rotate().await,
            16..19 => self.retire().await,
            19..21 => self.renew().await,
            21..24 => self.hand_over().await,
            24..60 => self.publish().await,
            60..75 => self.change_state().await,
            75..78 => self.dismiss_all().await,
            78..82 => self.delete().await,
            82..85 => self.recall().await,
            85..87 => self.recall_campaign().await,
            87..92 => self.list().await,
            92..98 => self.sync_somebody().await,
            98..104 => self.look_for_dead_letters().await,
            104 => self.redrive_at_once().await,
            _ => self.look_back().await,
        }
    }
}
