//! Users: reading, handling, deleting, looking.

use campanile_core::UserAction;
use campanile_engine::gateway::{Filter, StateUpdate, TimelineEntry};

use super::{Answer, Clients};
use crate::sim::provider::DeviceNo;

impl Clients {
    pub(super) async fn change_state(&self) {
        let user = self.any_user();
        let (Some(front), Some(id)) = (self.front(), self.some_item(user)) else { return };
        let (target, device) = self.target(user);
        let (read, action) = match self.random.below(10) {
            0..5 => (None, Some(UserAction::Dismissed)),
            5 | 6 => (Some(true), None),
            7 => (Some(false), None),
            8 => (None, Some(UserAction::Snoozed)),
            _ => (Some(true), Some(UserAction::Activated)),
        };
        let revision = self.random.chance(300).then(|| self.random.below(3) as u32 + 1);
        let (context, tag) = self.context();
        self.called(&tag, Some(id), false);
        self.stage().note(format_args!(
            "{tag} sets {id} of user {user} to {read:?} {action:?} {revision:?} on {device:?}"
        ));
        let handles = action.is_some() || read == Some(true);
        if let Some(device) = device.filter(|_| handles) {
            // The app takes it off its own screen, whatever comes of the call.
            self.ground.provider.clear(DeviceNo(device), id);
        }
        let update = StateUpdate { id, revision, read, action };
        let answers = front.gateway.update_state(&context, &target, vec![update]).await;
        self.answered_each(&tag, id, answers);
    }

    pub(super) async fn delete(&self) {
        let user = self.any_user();
        let (Some(front), Some(id)) = (self.front(), self.some_item(user)) else { return };
        let (target, device) = self.target(user);
        let (context, tag) = self.context();
        self.called(&tag, Some(id), false);
        self.stage().note(format_args!("{tag} deletes {id} of user {user} on {device:?}"));
        if let Some(device) = device {
            self.ground.provider.clear(DeviceNo(device), id);
        }
        let answers = front.gateway.delete(&context, &target, vec![id]).await;
        self.answered_each(&tag, id, answers);
    }

    /// Dismisses what an app has seen, which may be a while ago.
    pub(super) async fn dismiss_all(&self) {
        let user = self.any_user();
        let Some(front) = self.front() else { return };
        let (target, device) = self.target(user);
        let (context, _) = self.context();
        let seen = match front.gateway.sync(&context, &target, None, 500).await {
            Ok(page) => page.cursor,
            Err(error) => return self.surprised("sync", &error),
        };
        self.stage().dawdle(0, 5000).await;
        let (context, tag) = self.context();
        self.called(&tag, None, false);
        self.stage().note(format_args!("{tag} dismisses all of user {user} on {device:?}"));
        if let Some(device) = device {
            // The app takes everything off its own screen.
            self.ground.provider.clear_all(DeviceNo(device));
        }
        match front.gateway.dismiss_all(&context, &target, &seen).await {
            Ok(position) => self.answered(&tag, None, Answer::Done(Some(position))),
            Err(error) => {
                self.surprised("dismiss all", &error);
                self.answered(&tag, None, Answer::of_error(&error));
            }
        }
    }

    fn answered_each(
        &self,
        tag: &str,
        id: campanile_core::NotificationId,
        answers: Result<
            Vec<Result<campanile_core::Position, campanile_engine::Error>>,
            campanile_engine::Error,
        >,
    ) {
        let answer = match answers {
            Ok(answers) => answers.into_iter().next(),
            Err(error) => Some(Err(error)),
        };
        match answer {
            Some(Ok(position)) => self.answered(tag, Some(id), Answer::Done(Some(position))),
            Some(Err(error)) => {
                self.surprised("inbox", &error);
                self.answered(tag, Some(id), Answer::of_error(&error));
            }
            None => self.stage().broken("edge", format!("{tag} got no answer")),
        }
    }

    /// Lists a user's items: G8, nothing is listed past its end.
    pub(super) async fn list(&self) {
        let user = self.any_user();
        let Some(front) = self.front() else { return };
        let (target, _) = self.target(user);
        let (context, _) = self.context();
        let asked_at = self.stage().now();
        let page_size = 1 + self.random.index(10);
        let filter = Filter::default();
        let listed = front.gateway.list(&context, &target, &filter, page_size, None).await;
        match listed {
            Ok(page) => {
                self.stage().reach("list");
                let asked_at = asked_at.min(self.stage().now());
                for item in page.items.iter().filter(|item| item.expires_at <= asked_at) {
                    self.stage().broken("G8", format!("{} is listed past its end", item.id));
                }
            }
            Err(error) => self.surprised("list", &error),
        }
    }

    /// Asks for the timeline of an item and for its state at some time.
    pub(super) async fn look_back(&self) {
        let user = self.any_user();
        let (Some(front), Some(id)) = (self.front(), self.some_item(user)) else { return };
        let (target, _) = self.target(user);
        let (context, _) = self.context();
        match front.gateway.timeline(&context, &target, id).await {
            Ok(timeline) => {
                self.stage().reach("timeline");
                if !timeline.entries.is_sorted_by_key(TimelineEntry::time) {
                    self.stage().broken("timeline", format!("{id} is not in order of time"));
                }
            }
            Err(error) => self.surprised("timeline", &error),
        }
        let at = self.stage().now();
        match front.gateway.state_at(&context, &target, id, at).await {
            Ok(_) => self.stage().reach("state at an instant"),
            Err(error) => self.surprised("state at", &error),
        }
    }
}
