//! Producers: publishing, again and again if need be, and taking back.

use std::sync::Arc;
use std::time::Duration;

use campanile_core::{Content, Fallback, NotificationId, Platform, PlatformMask, Priority, Visual};
use campanile_engine::edge::Target;
use campanile_engine::ingest::{Lifetime, Publish, Published, Recall};
use campanile_engine::tasks::sleep;
use campanile_engine::{Error, RequestContext};

use super::{Answer, Clients};
use crate::sim::held;
use crate::vocabulary::app;

/// How often a producer repeats what was not answered well.
const TRIES: u64 = 6;

impl Clients {
    /// Publishes something, until it is acknowledged or the producer loses patience.
    pub(super) async fn publish(&self) {
        let user = self.any_user();
        let publish = self.draft(user);
        let tries = self.random.between(1, TRIES);
        for _ in 0..tries {
            match self.publish_once(user, &publish).await {
                Ok(_) if self.random.chance(200) => self.stage().dawdle(0, 30_000).await,
                Ok(_) => return,
                Err(Error::Indefinite { .. } | Error::Exhausted { .. })
                    if publish.idempotency_key.is_some() =>
                {
                    self.stage().reach("publish repeated by its producer");
                    sleep(self.random.millis(0, 5000)).await;
                }
                Err(Error::Conflict) | Err(_) => return,
            }
        }
    }

    fn draft(&self, user: usize) -> Publish {
        let number = {
            let mut book = held(&self.book);
            book.number += 1;
            book.number
        };
        let known = held(&self.book).keys.clone();
        let own: Vec<_> = known.into_iter().filter(|(whose, _)| *whose == user).collect();
        let key = match self.random.pick(&own) {
            // Somebody uses a key again, for something else.
            Some((_, key)) if self.random.chance(50) => Some(key.clone()),
            _ => self.random.chance(700).then(|| format!("key-{number}")),
        };
        let name = self.random.chance(500).then(|| self.random.pick(&["a", "b", "c"]).copied());
        let name = name.flatten();
        // An item is for the same platforms in all its revisions.
        let elsewhere = name == Some("c") && user == 0;
        let platforms = if elsewhere { &[Platform::Fcm][..] } else { &Platform::ALL[..] };
        let lives = [
            Lifetime::Default,
            Lifetime::Default,
            Lifetime::For(Duration::from_secs(20)),
            Lifetime::For(Duration::from_secs(300)),
            Lifetime::For(Duration::from_secs(3600)),
            Lifetime::Until(self.stage().now().after(Duration::from_secs(600))),
        ];
        let visual = Visual { title: format!("news {number}"), ..Visual::default() };
        Publish {
            target: Target::User(Self::id_of(user)),
            idempotency_key: key,
            app_notification_id: name.map(Into::into),
            group: None,
            campaign: self.random.chance(300).then(|| self.campaign().into()),
            content: Arc::new(Content { visual: Some(visual), raw: None }),
            platforms: PlatformMask::of(platforms),
            priority: match number % 4 {
                0 => Priority::Low,
                1 => Priority::Normal,
                _ => Priority::High,
            },
            end: self.random.pick(&lives).copied().unwrap_or(Lifetime::Default),
            deliver_within: self.random.chance(150).then_some(Duration::from_secs(15)),
            fallback: self.random.chance(400).then(|| self.fallback()),
        }
    }

    /// Sooner than the edge allows, so that many come due in a run.
    fn fallback(&self) -> Fallback {
        let visual = Visual { title: "there is news".to_owned(), ..Visual::default() };
        let content = Arc::new(Content { visual: Some(visual), raw: None });
        Fallback { after: Duration::from_secs(self.random.between(1, 90)), content }
    }

    /// The item that a publish is about, if its names tell.
    fn item_of(&self, user: usize, publish: &Publish) -> Option<NotificationId> {
        let (key, user) = (self.key(), self.user_ref(user));
        match (&publish.app_notification_id, &publish.idempotency_key) {
            (Some(name), _) => Some(key.item(user, name)),
            (None, Some(request)) => Some(key.item_of_request(user, key.request(user, request))),
            (None, None) => None,
        }
    }

    async fn publish_once(&self, user: usize, publish: &Publish) -> Result<Published, Error> {
        let unavailable = || Error::Unavailable { reason: "no edge".to_owned() };
        let front = self.front().ok_or_else(unavailable)?;
        let (context, tag): (RequestContext, String) = self.context();
        let item = self.item_of(user, publish);
        self.called(&tag, item, true);
        if let Some(id) = item {
            // From now on somebody may touch it, also before it is posted.
            self.knows(user, id);
        }
        if let Some(key) = &publish.idempotency_key {
            held(&self.book).keys.push((user, key.clone()));
        }
        self.stage().note(format_args!("{tag} publishes {item:?} for user {user}"));
        let mut answers = front.ingest.publish(&context, vec![publish.clone()]).await;
        let answer = answers.pop().unwrap_or_else(|| Err(unavailable()));
        match &answer {
            Ok(published) => {
                self.knows(user, published.id);
                let Published { id, position, repeated } = *published;
                if item.is_some_and(|item| item != id) {
                    self.stage().broken("G2", format!("{tag} became {id}, not {item:?}"));
                }
                let known = if repeated {
                    self.stage().reach("repeated publish recognised at the edge");
                    Answer::Repeated(position)
                } else {
                    Answer::Done(Some(position))
                };
                self.answered(&tag, item, known);
            }
            Err(error) => {
                self.surprised("publish", error);
                self.answered(&tag, item, Answer::of_error(error));
            }
        }
        answer
    }

    pub(super) fn knows(&self, user: usize, id: NotificationId) {
        let mut book = held(&self.book);
        let items = book.items.entry(user).or_default();
        if !items.contains(&id) {
            items.push(id);
        }
    }

    pub(super) async fn recall(&self) {
        let user = self.any_user();
        let Some(front) = self.front() else { return };
        let (context, tag) = self.context();
        let item = match self.some_item(user) {
            Some(id) if self.random.chance(600) => Recall::Id(id),
            _ => Recall::AppNotificationId("a".to_owned()),
        };
        let id = match &item {
            Recall::Id(id) => *id,
            Recall::AppNotificationId(name) => self.key().item(self.user_ref(user), name),
        };
        self.called(&tag, Some(id), false);
        self.stage().note(format_args!("{tag} recalls {id} of user {user}"));
        let target = Target::User(Self::id_of(user));
        match front.ingest.recall(&context, &target, &item).await {
            Ok((_, position)) => self.answered(&tag, Some(id), Answer::Done(Some(position))),
            Err(error) => {
                self.surprised("recall", &error);
                self.answered(&tag, Some(id), Answer::of_error(&error));
            }
        }
        debug_assert_eq!(context.app, app());
    }

    fn campaign(&self) -> &'static str {
        if self.random.chance(500) { "spring" } else { "autumn" }
    }

    pub(super) async fn recall_campaign(&self) {
        let Some(front) = self.front() else { return };
        let (context, tag) = self.context();
        let campaign = self.campaign();
        self.called(&tag, None, false);
        self.stage().note(format_args!("{tag} recalls everything of {campaign}"));
        match front.ingest.recall_campaign(&context, &campaign.into()).await {
            Ok(_) => self.answered(&tag, None, Answer::Done(None)),
            Err(error) => {
                self.surprised("recall of a campaign", &error);
                self.answered(&tag, None, Answer::of_error(&error));
            }
        }
    }

    /// An item that somebody knows of.
    pub(super) fn some_item(&self, user: usize) -> Option<NotificationId> {
        let book = held(&self.book);
        let items = book.items.get(&user)?;
        // Rather a recent one.
        let from = items.len().saturating_sub(5);
        self.random.pick(items.get(from..)?).copied()
    }
}
