//! Ingest: takes what producers publish, and answers when it is durable.
//!
//! No look-up is needed to be right: ids are derived, and the fold recognises a repeated request.
//! Where the projection knows the request already, the answer says so at once.

mod quotas;
mod recall;
mod recent;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use campanile_core::port::{Fit, Piece, PieceKey};
use campanile_core::{
    AppId, Content, Event, Fallback, Fingerprint, IdentityKey, Limits, NotificationId, Platform,
    PlatformMask, Position, PostVerdict, Posted, Priority, RequestKey, RequestRecord, RequestStamp,
    Timestamp, UserRef,
};

use self::quotas::Counted;
pub use self::quotas::Quotas;
pub use self::recall::Recall;
use self::recent::Recent;
use crate::edge::{Edge, Target, Whom};
use crate::pieces::Map;
use crate::planted::{Bug, Planted};
use crate::{Error, RequestContext};

/// A notification to publish. The edge checked its values; what only the engine knows is checked
/// here.
#[derive(Clone, Debug)]
pub struct Publish {
    /// Whom to tell.
    pub target: Target,
    /// Names the request: the same key again is the same request.
    pub idempotency_key: Option<String>,
    /// Names the item: a new request for a known item is a new revision.
    pub app_notification_id: Option<Arc<str>>,
    /// The producer's label for grouping.
    pub group: Option<Arc<str>>,
    /// What it can be recalled by, together with all others that carry the same.
    pub campaign: Option<Arc<str>>,
    /// What devices get.
    pub content: Arc<Content>,
    /// The platforms it is meant for.
    pub platforms: PlatformMask,
    /// How urgent it is.
    pub priority: Priority,
    /// When it vanishes.
    pub end: Lifetime,
    /// How long a push is still sent; [`Limits::DEFAULT_DELIVER_WITHIN`] if absent.
    pub deliver_within: Option<Duration>,
    /// What is shown instead where a signal did not bring the app to fetch.
    pub fallback: Option<Fallback>,
}

/// How long an item lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// [`Limits::DEFAULT_LIFE`].
    Default,
    /// From now on.
    For(Duration),
    /// Until then.
    Until(Timestamp),
}

/// A publish that is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// The item.
    pub id: NotificationId,
    /// Where it stands in the log; of a repeated request, where the first one stands.
    pub position: Position,
    /// Whether the same request was there before.
    pub repeated: bool,
}

/// Takes publishes.
#[derive(Debug)]
pub struct Ingest {
    edge: Edge,
    fits: BTreeMap<AppId, Vec<Fit>>,
    quotas: Quotas,
    counted: Mutex<Counted>,
    recent: Mutex<Recent>,
    planted: Planted,
}

/// A publish on its way into the log.
struct Draft {
    whom: Whom,
    posted: Posted,
}

impl Ingest {
    /// An ingest that refuses what one of an app's `fits` refuses, if the post is meant for that
    /// platform: what a platform cannot carry is no reason against the others. It also refuses,
    /// for a while, what is over `quotas`.
    #[must_use]
    pub fn new(
        edge: Edge,
        fits: BTreeMap<AppId, Vec<Fit>>,
        quotas: Quotas,
        planted: Planted,
    ) -> Self {
        let (counted, recent) = Default::default();
        Self { edge, fits, quotas, counted, recent, planted }
    }

    /// Publishes every notification of `batch`, each for itself. An `Ok` means durable.
    pub async fn publish(
        &self,
        context: &RequestContext,
        batch: Vec<Publish>,
    ) -> Vec<Result<Published, Error>> {
        let begun = self.edge.clock.tick();
        let (names, now) = (self.edge.names.of(&context.app), self.edge.clock.now());
        let draft = |publish| self.draft(&context.app, &names, now, publish);
        let drafts: Vec<_> = batch.into_iter().map(draft).collect();
        let known = self.known(&drafts).await;
        let mut events = Vec::with_capacity(drafts.len());
        let answers: Vec<_> = drafts
            .into_iter()
            .map(|draft| self.prepare(draft?, &known, now, &mut events))
            .collect();
        let mut appended = self.append(context, events).await.into_iter();
        let answers = answers.into_iter().map(|answer| match answer? {
            Answer::Known(published) => Ok(published),
            Answer::Append { id, request } => {
                let position = appended.next().unwrap_or_else(no_answer)?;
                self.remember(request, id, position);
                Ok(Published { id, position, repeated: false })
            }
        });
        let answers: Vec<Result<Published, Error>> = answers.collect();
        self.count(&answers, self.edge.clock.tick().since(begun));
        answers
    }

    fn draft(
        &self,
        app: &AppId,
        names: &IdentityKey,
        now: Timestamp,
        publish: Publish,
    ) -> Result<Draft, Error> {
        let whom = self.edge.named(app, names, &publish.target)?;
        let request = publish.idempotency_key.as_deref().map(|key| RequestStamp {
            key: names.request(whom.user, key),
            fingerprint: fingerprint(&publish),
        });
        let id = match (&publish.app_notification_id, &request) {
            (Some(name), _) => names.item(whom.user, name),
            (None, Some(request)) => names.item_of_request(whom.user, request.key),
            (None, None) => NotificationId::random(whom.user, self.edge.entropy.draw()),
        };
        let (expires_at, deliver_by) = times(&publish, now)?;
        let posted = Posted {
            id,
            request,
            app_notification_id: publish.app_notification_id,
            group: publish.group,
            campaign: publish.campaign,
            content: publish.content,
            platforms: publish.platforms,
            priority: publish.priority,
            expires_at,
            deliver_by,
            fallback: publish.fallback,
        };
        self.carries(app, "content", &posted)?;
        if let Some(fallback) = &posted.fallback {
            let platforms = PlatformMask::of(&[Platform::Apns]);
            let content = fallback.content.clone();
            let shown = Posted { content, platforms, group: None, ..posted.clone() };
            self.carries(app, "fallback.visual", &shown)?;
        }
        self.admit(app, whom.user)?;
        Ok(Draft { whom, posted })
    }

    /// Refuses what a platform that it is meant for cannot carry.
    fn carries(&self, app: &AppId, field: &'static str, posted: &Posted) -> Result<(), Error> {
        let refused = self.fits.get(app).into_iter().flatten().find_map(|fit| {
            fit(posted).err().filter(|unfit| posted.platforms.contains(unfit.platform))
        });
        refused.map_or(Ok(()), |unfit| Err(Error::invalid(field, unfit)))
    }

    fn admit(&self, app: &AppId, user: UserRef) -> Result<(), Error> {
        if self.quotas.is_unlimited() {
            return Ok(());
        }
        let now = self.edge.clock.tick();
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let admitted = counted.admit(self.quotas, app, user, now);
        self.edge.telemetry.ingest_over_quota.add(usize::from(admitted.is_err()));
        admitted
    }

    /// What is known of the batch's requests: just published here, or folded already.
    async fn known(&self, drafts: &[Result<Draft, Error>]) -> Map<RequestKey, RequestRecord> {
        let mut known = Map::default();
        let mut unknown: Map<_, Vec<PieceKey>> = Map::default();
        {
            let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
            for draft in drafts.iter().flatten() {
                let Some(stamp) = draft.posted.request else { continue };
                if let Some(record) = recent.get(stamp.key) {
                    known.insert(stamp.key, *record);
                } else {
                    let key = PieceKey::Request(draft.whom.user, stamp.key);
                    unknown.entry(draft.whom.partition).or_default().push(key);
                }
            }
        }
        for (partition, keys) in unknown {
            // Without an answer the fold decides, as it does for requests in flight.
            let Ok(views) = self.edge.projection.view(partition, &keys).await else { continue };
            for (key, piece) in keys.iter().zip(views.pieces) {
                if let (PieceKey::Request(_, key), Some(Piece::Request(record))) = (key, piece) {
                    known.insert(*key, record);
                }
            }
        }
        known
    }

    fn prepare(
        &self,
        draft: Draft,
        known: &Map<RequestKey, RequestRecord>,
        now: Timestamp,
        events: &mut Vec<(UserRef, Event)>,
    ) -> Result<Answer, Error> {
        let Draft { whom, posted } = draft;
        let (id, request) = (posted.id, posted.request);
        let before = request.and_then(|stamp| Some((stamp, known.get(&stamp.key)?)));
        if let Some((stamp, record)) = before.filter(|(_, record)| record.until > now) {
            if record.compare(stamp.fingerprint) == PostVerdict::Conflicted {
                return Err(Error::Conflict);
            }
            let generation = self.edge.events.identity().generation;
            let position = Position { generation, partition: whom.partition, offset: record.at };
            return Ok(Answer::Known(Published { id: record.item, position, repeated: true }));
        }
        let until = request_until(&posted, now);
        events.push((whom.user, Event::NotificationPosted(posted)));
        Ok(Answer::Append { id, request: request.map(|stamp| (stamp, until)) })
    }

    async fn append(
        &self,
        context: &RequestContext,
        events: Vec<(UserRef, Event)>,
    ) -> Vec<Result<Position, Error>> {
        if !self.planted.has(Bug::AckBeforeDurable) {
            return self.edge.append_all(context, events).await;
        }
        let log = self.edge.events.identity();
        let (generation, offset) = (log.generation, campanile_core::Offset(0));
        let position = |(user, _): &(UserRef, Event)| {
            Ok(Position { generation, partition: log.partition_of(*user), offset })
        };
        let early = events.iter().map(position).collect();
        self.edge.append_all(context, events).await;
        early
    }

    fn remember(
        &self,
        request: Option<(RequestStamp, Timestamp)>,
        item: NotificationId,
        position: Position,
    ) {
        let Some((RequestStamp { key, fingerprint }, until)) = request else { return };
        let record = RequestRecord { at: position.offset, fingerprint, item, until };
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).put(key, record);
    }

    fn count(&self, answers: &[Result<Published, Error>], took: Duration) {
        let of = |wanted: fn(&Result<Published, Error>) -> bool| {
            answers.iter().filter(|answer| wanted(answer)).count()
        };
        let telemetry = &self.edge.telemetry;
        let accepted = of(|a| matches!(a, Ok(p) if !p.repeated));
        telemetry.ingest_accepted.add(accepted);
        telemetry.ingest_durable_seconds.record(took, accepted);
        telemetry.ingest_repeated.add(of(|a| matches!(a, Ok(p) if p.repeated)));
        telemetry.ingest_conflicted.add(of(|a| matches!(a, Err(Error::Conflict))));
        telemetry.ingest_failed.add(of(|a| {
            matches!(
                a,
                Err(Error::Exhausted { .. } | Error::Unavailable { .. } | Error::Indefinite { .. })
            )
        }));
    }
}

enum Answer {
    Known(Published),
    Append { id: NotificationId, request: Option<(RequestStamp, Timestamp)> },
}

fn no_answer() -> Result<Position, Error> {
    Err(Error::Bug { reason: "log gave no answer".to_owned() })
}

/// As the fold will remember it, or a little shorter.
fn request_until(posted: &Posted, now: Timestamp) -> Timestamp {
    let until = now.after(Limits::REMEMBERED_AFTER).max(posted.expires_at);
    until.min(now.after(Limits::LONGEST_LIFE))
}

/// When a publish taken at `now` expires, and until when it is pushed.
fn times(publish: &Publish, now: Timestamp) -> Result<(Timestamp, Timestamp), Error> {
    let latest = now.after(Limits::LONGEST_LIFE);
    let expires_at = match publish.end {
        Lifetime::Default => now.after(Limits::DEFAULT_LIFE),
        Lifetime::For(life) => now.after(life),
        Lifetime::Until(end) => end,
    };
    if expires_at <= now {
        return Err(Error::invalid("expires_at", "must be in the future"));
    }
    if expires_at > latest {
        return Err(Error::invalid("expires_at", "must be at most 30 days away"));
    }
    let within = publish.deliver_within.unwrap_or(Limits::DEFAULT_DELIVER_WITHIN);
    Ok((expires_at, now.after(within).min(expires_at)))
}

/// What the request said, in one canonical order; times as given, not as computed.
fn fingerprint(publish: &Publish) -> Fingerprint {
    let mut said = Vec::with_capacity(256);
    let content = &publish.content;
    field(&mut said, publish.app_notification_id.as_deref().unwrap_or_default().as_bytes());
    field(&mut said, publish.group.as_deref().unwrap_or_default().as_bytes());
    field(&mut said, content.raw.as_deref().unwrap_or_default());
    visual(&mut said, content);
    field(&mut said, &[publish.platforms.bits(), publish.priority as u8]);
    let (kind, amount) = match publish.end {
        Lifetime::Default => (0, 0),
        Lifetime::For(life) => (1, life.as_secs()),
        Lifetime::Until(end) => (2, end.as_millis()),
    };
    field(&mut said, &[kind]);
    field(&mut said, &u64::to_be_bytes(amount));
    field(&mut said, &publish.deliver_within.map_or(0, |within| within.as_secs()).to_be_bytes());
    if let Some(campaign) = &publish.campaign {
        // Only if there is one: a request without is the same as before there were campaigns.
        said.extend_from_slice(campaign.as_bytes());
    }
    if let Some(Fallback { after, content }) = &publish.fallback {
        // Apart from every campaign, whose names have no such byte.
        said.push(0);
        said.extend_from_slice(&after.as_secs().to_be_bytes());
        visual(&mut said, content);
    }
    Fingerprint::of(&said)
}

fn visual(said: &mut Vec<u8>, content: &Content) {
    let Some(visual) = &content.visual else { return };
    field(said, visual.title.as_bytes());
    field(said, visual.body.as_deref().unwrap_or_default().as_bytes());
    field(said, visual.sound.as_deref().unwrap_or_default().as_bytes());
    field(said, &visual.badge.map(u32::to_be_bytes).unwrap_or_default());
}

fn field(said: &mut Vec<u8>, bytes: &[u8]) {
    said.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
    said.extend_from_slice(bytes);
}
