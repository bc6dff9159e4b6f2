//! What ingest and gateway both work with: names, handles and the way into the log.

use std::sync::Arc;

use campanile_core::port::{
    Attribute, Clock, Entropy, EventLog, NewRecord, Projection, SpanKind, Tracer,
};
use campanile_core::{
    AppId, EndpointId, Event, Fact, IdentityKey, NotificationId, Partition, Position, TraceContext,
    UserId, UserRef,
};
use campanile_proto::codec;

use crate::seal::Seal;
use crate::telemetry::Telemetry;
use crate::work::{Work, text};
use crate::{Error, RequestContext};

/// Ports and secrets of the two roles that serve requests.
#[derive(Clone)]
pub struct Edge {
    /// What happened.
    pub events: Arc<dyn EventLog>,
    /// What came of deliveries.
    pub receipts: Arc<dyn EventLog>,
    /// Current state.
    pub projection: Arc<dyn Projection>,
    /// The deployment's root of names; with another one every user and item is another.
    pub names: Names,
    /// Seals handles.
    pub seal: Arc<Seal>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For ids.
    pub entropy: Arc<dyn Entropy>,
    /// The counters.
    pub telemetry: Arc<Telemetry>,
    /// Follows requests into the log.
    pub tracer: Arc<dyn Tracer>,
}

/// Derives the names of an app's users, items, endpoints and requests.
#[derive(Clone)]
pub struct Names([u8; 32]);

impl Names {
    /// Names under `root`, 32 secret bytes made once for a deployment.
    #[must_use]
    pub const fn new(root: [u8; 32]) -> Self {
        Self(root)
    }

    /// The names of one app.
    #[must_use]
    pub fn of(&self, app: &AppId) -> IdentityKey {
        IdentityKey::of_app(&self.0, app)
    }
}

/// Whom a request is for.
#[derive(Clone, Debug)]
pub enum Target {
    /// The app's own name for the user.
    User(UserId),
    /// The handle of one of the user's subscriptions; on requests of devices it also says which
    /// device acts.
    Unsid(String),
}

/// Whom a request is for, as the log knows it.
#[derive(Clone, Copy, Debug)]
pub struct Whom {
    /// The user.
    pub user: UserRef,
    /// The endpoint the request came from, if the target was its UNSID.
    pub endpoint: Option<EndpointId>,
    /// The user's partition.
    pub partition: Partition,
}

impl Edge {
    /// Finds out whom `target` names.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is an UNSID that was tampered with, is another app's or expired.
    pub fn whom(&self, app: &AppId, target: &Target) -> Result<Whom, Error> {
        self.named(app, &self.names.of(app), target)
    }

    /// As [`Edge::whom`], under the names of `app`: to make those costs as much as to use them.
    pub(crate) fn named(
        &self,
        app: &AppId,
        names: &IdentityKey,
        target: &Target,
    ) -> Result<Whom, Error> {
        let (user, endpoint) = match target {
            Target::User(user) => (names.user(app, user), None),
            Target::Unsid(sealed) => {
                let opened = self.seal.open_unsid(app, sealed);
                let unsid = opened.map_err(|error| Error::invalid("unsid", error))?;
                if unsid.expires_at <= self.clock.now() {
                    return Err(Error::invalid("unsid", "has expired; register again"));
                }
                (unsid.user, Some(unsid.endpoint))
            }
        };
        Ok(Whom { user, endpoint, partition: self.events.identity().partition_of(user) })
    }

    /// Refuses the id of an item that can only be another user's.
    ///
    /// # Errors
    /// [`Error::NotFound`], the same as for an id that nobody has.
    pub fn belongs(&self, whom: &Whom, id: NotificationId) -> Result<(), Error> {
        if id.prefix() == whom.user.prefix() {
            Ok(())
        } else {
            Err(Error::NotFound { what: "notification" })
        }
    }

    /// Appends events about users, each for itself; what is `Ok` is durable. A request that is
    /// traced gets a span for each, and what follows from the event is part of that.
    ///
    /// # Errors
    /// As [`EventLog::append`].
    pub async fn append_all(
        &self,
        context: &RequestContext,
        events: Vec<(UserRef, Event)>,
    ) -> Vec<Result<Position, Error>> {
        if events.is_empty() {
            return Vec::new();
        }
        let parent = context.trace.as_deref().and_then(TraceContext::parse);
        let log = self.events.identity();
        let mut followed = Vec::new();
        let record = |(index, (user, event)): (usize, (UserRef, Event))| {
            let work = Work::begin(&*self.tracer, parent.as_ref(), self.clock.tick());
            let cause = match &work {
                Some(work) => Some(work.context().to_string().into()),
                None => context.trace.clone(),
            };
            followed.extend(work.map(|work| (index, work, event.name(), event.item())));
            let fact = Fact { app: context.app.clone(), user, cause, event };
            NewRecord { partition: log.partition_of(user), user, body: codec::encode_fact(&fact) }
        };
        let records: Vec<_> = events.into_iter().enumerate().map(record).collect();
        let asked = records.len();
        let mut answers: Vec<_> = self.events.append(records).await;
        answers.truncate(asked);
        let mut answers: Vec<Result<_, _>> =
            answers.into_iter().map(|answer| answer.map_err(Error::from)).collect();
        answers.resize_with(asked, || Err(Error::Bug { reason: "log gave no answer".to_owned() }));
        for (index, work, name, item) in followed {
            self.tell(context, work, (name, item), answers.get(index));
        }
        answers
    }

    /// Appends one event; it is durable when this returns.
    ///
    /// # Errors
    /// As [`EventLog::append`].
    pub async fn append(
        &self,
        context: &RequestContext,
        user: UserRef,
        event: Event,
    ) -> Result<Position, Error> {
        let answer = self.append_all(context, vec![(user, event)]).await.pop();
        answer.unwrap_or_else(|| Err(Error::Bug { reason: "log gave no answer".to_owned() }))
    }

    fn tell(
        &self,
        context: &RequestContext,
        work: Work,
        (name, item): (&'static str, Option<NotificationId>),
        answer: Option<&Result<Position, Error>>,
    ) {
        let mut attributes = vec![
            ("campanile.app", text(context.app.as_str())),
            ("campanile.request_id", text(&context.request_id)),
        ];
        attributes.extend(item.map(|item| ("campanile.notification_id", text(item))));
        let failure = match answer {
            Some(Ok(at)) => {
                let partition = u64::from(at.partition.0);
                attributes.push(("campanile.partition", Attribute::Number(partition)));
                attributes.push(("campanile.offset", Attribute::Number(at.offset.0)));
                None
            }
            Some(Err(error)) => Some(error.to_string()),
            None => None,
        };
        let kind = (name.into(), SpanKind::Server);
        self.tracer.record(work.end(self.clock.tick(), kind, attributes, failure));
    }
}

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Names(…)")
    }
}

impl std::fmt::Debug for Edge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Edge { .. }")
    }
}
