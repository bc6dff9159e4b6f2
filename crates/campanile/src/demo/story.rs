//! The story, step by step. Every step waits for what it tells, and fails if that does not come.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use campanile_api::Client;
use campanile_core::Tick;
use campanile_engine::tasks::sleep;
use campanile_engine::telemetry::Telemetry;
use campanile_proto::v1;
use tokio::time::timeout;

use super::devices::{ANDROID, BOBS, Changes, DEVICES, Device, IPAD, IPHONE, MAC, What};
use super::stage::{APP, Stage};
use super::teller::{Detail, Teller};
use crate::command::history::{Line, lines};
use crate::exit::{Failure, Kind};

/// How long a step may take; it takes milliseconds.
const LIMIT: Duration = Duration::from_secs(10);
/// Between two looks at something that cannot be waited for.
const LOOK: Duration = Duration::from_millis(5);
/// Names the request of the story.
const REQUEST: &str = "supper-2026";
/// Four that ring, three that clear.
const DELIVERIES: usize = 7;

/// The story being told.
pub(super) struct Story<'a> {
    stage: &'a Stage,
    teller: &'a Teller,
    client: Client,
    changes: Changes,
    /// The endpoints as the log knows them, with their devices.
    endpoints: BTreeMap<String, Device>,
}

/// Why a step was not observed.
struct Unseen(String);

impl<E: Into<Failure>> From<E> for Unseen {
    fn from(error: E) -> Self {
        Self(error.into().message)
    }
}

impl<'a> Story<'a> {
    /// Opens the story: a server runs at `address`.
    ///
    /// # Errors
    /// [`Failure`] if it cannot be reached.
    pub(super) async fn begin(
        stage: &'a Stage,
        address: SocketAddr,
        teller: &'a Teller,
    ) -> Result<Self, Failure> {
        let client = Client::connect(&format!("http://{address}")).await?;
        let details = [
            Detail::new(format!("the public API (gRPC) on {address}")),
            Detail::new(format!("the log and its state in {}", stage.directory.path().display())),
            Detail::new(format!("a simulated Apple (HTTP/2, TLS) on {}", stage.apns.addr())),
            Detail::new(format!("a simulated Google (HTTP/2, TLS) on {}", stage.fcm.addr())),
        ];
        teller.step("start", "A tower stands.", &details)?;
        let changes = Changes::of(stage);
        Ok(Self { stage, teller, client, changes, endpoints: BTreeMap::new() })
    }

    /// Tells it. Answers the notification that it is about.
    ///
    /// # Errors
    /// [`Failure`] that names the step which was not observed.
    pub(super) async fn tell(mut self, telemetry: &Telemetry) -> Result<String, Failure> {
        let teller = self.teller;
        let handle = observe(teller, "register", self.register()).await?;
        let item = observe(teller, "ring", self.ring()).await?;
        observe(teller, "retry", self.retry(&item)).await?;
        let before = observe(teller, "unread", self.unread(&item)).await?;
        observe(teller, "dismiss", self.dismiss(&item, handle)).await?;
        observe(teller, "timeline", self.timeline(&item)).await?;
        observe(teller, "state-at", self.state_at(&item, before)).await?;
        observe(teller, "totals", self.totals(telemetry)).await?;
        Ok(item)
    }

    /// The devices register. Answers the handle of Alice's iPhone.
    async fn register(&mut self) -> Result<String, Unseen> {
        let mut details = Vec::new();
        let mut handle = String::new();
        for device in DEVICES {
            let asked = self.teller.tick();
            let answer = self.client.register_endpoint(device.registration()).await?;
            let after = self.teller.tick().since(asked);
            details.push(Detail::after(format!("{} registers", device.name), after));
            self.endpoints.insert(answer.endpoint_id, device);
            if device == IPHONE {
                handle = answer.unsid;
            }
        }
        let text = "Alice signs in on four devices, Bob on one.";
        self.teller.step("register", text, &details)?;
        Ok(handle)
    }

    /// A notification is published, and rings. Answers its id.
    async fn ring(&mut self) -> Result<String, Unseen> {
        let asked = self.teller.tick();
        let client = self.client.clone();
        let publish = async {
            let answer = client.publish(publish()).await;
            (answer, self.teller.tick().since(asked))
        };
        let rings = |what: &What| matches!(what, What::Rings(_));
        let all = [IPHONE, IPAD, MAC, ANDROID];
        let seen = seen(&mut self.changes, &all, "ring", rings, asked, self.teller);
        let ((answer, durable), seen) = tokio::join!(publish, seen);
        let id = answer?.notification_id;
        let mut details = vec![Detail::after("durable in the log", durable)];
        details.extend(seen?);
        for device in all {
            if !device.shows(self.stage, &id) {
                return Err(Unseen(format!("{} shows another notification", device.name)));
            }
        }
        let text = "“Supper is ready” is published to Alice, and rings on every device of hers.";
        self.teller.step("ring", text, &details)?;
        Ok(id)
    }

    /// The producer did not hear the answer and asks again.
    async fn retry(&mut self, item: &str) -> Result<(), Unseen> {
        let answer = self.client.publish(publish()).await?;
        if !answer.repeated || answer.notification_id != item {
            return Err(Unseen("the repeated request was taken for a new one".to_owned()));
        }
        let text = "The producer repeats the request. It is recognised: still one notification.";
        Ok(self.teller.step("retry", text, &[])?)
    }

    /// The notification is in the inbox, unread. Answers an instant at which it is.
    async fn unread(&mut self, item: &str) -> Result<prost_types::Timestamp, Unseen> {
        let found = until("the inbox does not have it", async || self.found(item).await).await?;
        if found.read || found.action() != v1::UserAction::None {
            return Err(Unseen("the inbox has it in another state".to_owned()));
        }
        self.teller.step("unread", "Alice's inbox has it, unread.", &[])?;
        found.modified_at.ok_or_else(|| Unseen("it has no time".to_owned()))
    }

    /// Alice dismisses it on her iPhone; it leaves the other devices.
    async fn dismiss(&mut self, item: &str, handle: String) -> Result<(), Unseen> {
        let asked = self.teller.tick();
        if !self.stage.apns.swipe(IPHONE.token, item) {
            return Err(Unseen("it is not on the screen of the iPhone".to_owned()));
        }
        let client = self.client.clone();
        let update = client.update_state(dismissal(item, handle));
        let clears = |what: &What| *what == What::Clears;
        let others = [IPAD, MAC, ANDROID];
        let seen = seen(&mut self.changes, &others, "clear", clears, asked, self.teller);
        let (answer, seen) = tokio::join!(update, seen);
        for result in answer?.results {
            if let Some(v1::item_result::Result::Failure(failure)) = result.result {
                return Err(Unseen(failure.reason));
            }
        }
        let seen = seen?;
        if let Some(device) = others.into_iter().find(|device| device.shows(self.stage, item)) {
            return Err(Unseen(format!("{} still shows it", device.name)));
        }
        let text = "Alice dismisses it on her iPhone, and the others put it away.";
        Ok(self.teller.step("dismiss", text, &seen)?)
    }

    /// What happened, read back from the log: once all of it is there.
    async fn timeline(&mut self, item: &str) -> Result<(), Unseen> {
        let count =
            |told: &[Line], what: &str| told.iter().filter(|line| line.what == what).count();
        let told = until("the log does not tell all of it", async || {
            let request = v1::GetTimelineRequest {
                app: APP.to_owned(),
                target: target(),
                notification_id: item.to_owned(),
            };
            let told = lines(self.client.get_timeline(request).await?);
            // Events and receipts are folded apart, so either may be told first.
            let is_complete =
                count(&told, "StateChanged") > 0 && count(&told, "delivery") >= DELIVERIES;
            Ok(is_complete.then_some(told))
        });
        let told = told.await?;
        let deliveries = count(&told, "delivery");
        if deliveries != DELIVERIES {
            let reason = format!("the log has {deliveries} deliveries instead of {DELIVERIES}");
            return Err(Unseen(reason));
        }
        let details: Vec<_> = told.iter().map(|line| self.line(line)).collect();
        Ok(self.teller.step("timeline", "The log tells all of it.", &details)?)
    }

    /// How it stood before, and how it stands now.
    async fn state_at(&mut self, item: &str, at: prost_types::Timestamp) -> Result<(), Unseen> {
        let request = v1::GetStateAtRequest {
            app: APP.to_owned(),
            target: target(),
            notification_id: item.to_owned(),
            at: Some(at),
        };
        let before = self.client.get_state_at(request).await?.item;
        if before.is_none_or(|before| before.action() != v1::UserAction::None) {
            return Err(Unseen("the past has changed".to_owned()));
        }
        let now = self.found(item).await?;
        if now.is_none_or(|now| now.action() != v1::UserAction::Dismissed) {
            return Err(Unseen("it is not dismissed".to_owned()));
        }
        let at = crate::command::instant(Some(&at));
        let text = format!("At {at} it was unread. Now it is dismissed.");
        Ok(self.teller.step("state-at", &text, &[])?)
    }

    /// The sums, which show what did not happen: the log has every delivery settled by now.
    async fn totals(&mut self, telemetry: &Telemetry) -> Result<(), Unseen> {
        let expected = [(IPHONE, 1), (IPAD, 2), (MAC, 2), (ANDROID, 2), (BOBS, 0)];
        let mut details = Vec::new();
        for (device, pushes) in expected {
            let found = device.accepted(self.stage);
            if found != pushes {
                let name = device.name;
                return Err(Unseen(format!("{name} got {found} pushes instead of {pushes}")));
            }
            let noun = if pushes == 1 { "push" } else { "pushes" };
            details.push(Detail::new(format!("{:15}  {pushes} {noun}", device.name)));
        }
        let (apple, google) = (self.stage.apns.counts(), self.stage.fcm.counts());
        let published = telemetry.ingest_accepted.get();
        let repeated = telemetry.ingest_repeated.get();
        details.push(Detail::new(format!(
            "{published} publish, {repeated} recognised as repeated; {} pushes accepted by Apple, \
             {} by Google, {} rejected",
            apple.accepted,
            google.accepted,
            apple.rejected + google.rejected
        )));
        let text = "Four rang, three were told silently. The iPhone, where it was dismissed, and Bob \
                    heard nothing of it.";
        Ok(self.teller.step("totals", text, &details)?)
    }

    /// A line of the timeline, with the time of day and the name of the device.
    fn line(&self, line: &Line) -> Detail {
        let time = line.time.get(11..23).unwrap_or(&line.time);
        let device = self.endpoints.get(&line.endpoint_id).map_or("", |device| device.name);
        Detail::new(format!("{time}  {:20}  {device:15}  {}", line.what, line.detail))
    }

    /// The notification in Alice's inbox, if it is there.
    async fn found(&self, item: &str) -> Result<Option<v1::InboxItem>, Unseen> {
        let request = v1::ListNotificationsRequest {
            app: APP.to_owned(),
            target: target(),
            ..Default::default()
        };
        let items = self.client.list_notifications(request).await?.items;
        Ok(items.into_iter().find(|it| it.notification_id == item))
    }
}

/// Runs a step within its limit, and tells if it was not observed.
async fn observe<T>(
    teller: &Teller,
    step: &'static str,
    run: impl Future<Output = Result<T, Unseen>>,
) -> Result<T, Failure> {
    let outcome = timeout(LIMIT + LIMIT, run).await;
    let late = |_| Err(Unseen(format!("it took longer than {:?}", LIMIT + LIMIT)));
    match outcome.unwrap_or_else(late) {
        Ok(value) => Ok(value),
        Err(Unseen(reason)) => {
            teller.failed(step, &reason)?;
            let message = format_args!("step {step} was not observed: {reason}");
            Err(Failure::new(Kind::Failed, message))
        }
    }
}

/// Looks until there is something to see.
async fn until<T>(
    otherwise: &str,
    mut look: impl AsyncFnMut() -> Result<Option<T>, Unseen>,
) -> Result<T, Unseen> {
    let found = async {
        loop {
            match look().await {
                Ok(None) => sleep(LOOK).await,
                Ok(Some(found)) => return Ok(found),
                Err(unseen) => return Err(unseen),
            }
        }
    };
    let late = |_| Err(Unseen(format!("{otherwise} within {LIMIT:?}")));
    timeout(LIMIT, found).await.unwrap_or_else(late)
}

/// Waits until each of `devices` has had a change of a kind; tells when.
async fn seen(
    changes: &mut Changes,
    devices: &[Device],
    verb: &str,
    is_meant: impl Fn(&What) -> bool,
    asked: Tick,
    teller: &Teller,
) -> Result<Vec<Detail>, Unseen> {
    let mut missing = devices.to_vec();
    let mut details = Vec::new();
    let all = async {
        while !missing.is_empty() {
            let change = changes.next().await.map_err(|error| Unseen(error.to_string()))?;
            let after = teller.tick().since(asked);
            let at = missing.iter().position(|&device| change.device == Some(device));
            if let Some(at) = at.filter(|_| is_meant(&change.what)) {
                let device = missing.remove(at);
                details.push(Detail::after(format!("{} {verb}s", device.name), after));
            }
        }
        Ok(())
    };
    match timeout(LIMIT, all).await {
        Ok(Ok(())) => Ok(details),
        Ok(Err(unseen)) => Err(unseen),
        Err(_) => {
            let names: Vec<_> = missing.iter().map(|device| device.name).collect();
            Err(Unseen(format!("{} did not {verb} within {LIMIT:?}", names.join(" and "))))
        }
    }
}

fn target() -> Option<v1::Target> {
    Some(v1::Target { target: Some(v1::target::Target::UserId("alice".to_owned())) })
}

fn publish() -> v1::PublishRequest {
    let visual = v1::Visual {
        title: "Supper is ready".to_owned(),
        body: Some("In the kitchen.".to_owned()),
        ..Default::default()
    };
    let notification = v1::Notification {
        target: target(),
        idempotency_key: Some(REQUEST.to_owned()),
        content: Some(v1::Content { visual: Some(visual), raw: None }),
        ..Default::default()
    };
    v1::PublishRequest { app: APP.to_owned(), notification: Some(notification) }
}

fn dismissal(item: &str, handle: String) -> v1::UpdateStateRequest {
    let update = v1::StateUpdate {
        notification_id: item.to_owned(),
        revision: None,
        read: None,
        action: Some(v1::UserAction::Dismissed.into()),
    };
    v1::UpdateStateRequest {
        app: APP.to_owned(),
        target: Some(v1::Target { target: Some(v1::target::Target::Unsid(handle)) }),
        updates: vec![update],
    }
}
