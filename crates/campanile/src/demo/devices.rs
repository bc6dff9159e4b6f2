//! The devices of the story, wherever they are reached, and what is seen on them.

use campanile_core::Platform;
use campanile_proto::v1;
use campanile_simulate::{apns, fcm};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::stage::{APP, PROJECT, Stage, TOPIC};

/// A device of the story.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Device {
    pub(super) user: &'static str,
    pub(super) name: &'static str,
    pub(super) platform: Platform,
    /// What its platform knows it by: a device token, or an installation id.
    pub(super) token: &'static str,
}

/// Who hears of it.
pub(super) const IPHONE: Device = apple("alice", "Alice's iPhone", "a11ce001");
pub(super) const IPAD: Device = apple("alice", "Alice's iPad", "a11ce002");
pub(super) const MAC: Device = apple("alice", "Alice's Mac", "a11ce003");
pub(super) const ANDROID: Device = Device {
    user: "alice",
    name: "Alice's Android",
    platform: Platform::Fcm,
    token: "alice-android",
};
/// Who must not.
pub(super) const BOBS: Device = apple("bob", "Bob's iPhone", "b0b00001");

/// Every device.
pub(super) const DEVICES: [Device; 5] = [IPHONE, IPAD, MAC, ANDROID, BOBS];

const fn apple(user: &'static str, name: &'static str, token: &'static str) -> Device {
    Device { user, name, platform: Platform::Apns, token }
}

impl Device {
    /// The request by which it registers.
    pub(super) fn registration(self) -> v1::RegisterEndpointRequest {
        let token = self.token.to_owned();
        let platform = match self.platform {
            Platform::Fcm => v1::address::Platform::Fcm(v1::FcmAddress {
                target: Some(v1::fcm_address::Target::Fid(token)),
                project: PROJECT.to_owned(),
            }),
            _ => v1::address::Platform::Apns(v1::ApnsAddress {
                token,
                topic: TOPIC.to_owned(),
                environment: v1::Environment::Production.into(),
            }),
        };
        v1::RegisterEndpointRequest {
            app: APP.to_owned(),
            user_id: self.user.to_owned(),
            installation_id: self.name.to_owned(),
            address: Some(v1::Address { platform: Some(platform) }),
            ..v1::RegisterEndpointRequest::default()
        }
    }

    /// Whether it shows a notification.
    pub(super) fn shows(self, stage: &Stage, id: &str) -> bool {
        match self.platform {
            Platform::Fcm => stage.fcm.device(self.token).is_some_and(|it| it.shown(id).is_some()),
            _ => stage.apns.device(self.token).is_some_and(|it| it.shown(id).is_some()),
        }
    }

    /// How many pushes its platform took for it.
    pub(super) fn accepted(self, stage: &Stage) -> u64 {
        match self.platform {
            Platform::Fcm => stage.fcm.device(self.token).map_or(0, |it| it.accepted()),
            _ => stage.apns.device(self.token).map_or(0, |it| it.accepted()),
        }
    }
}

/// What happens on all devices from when this was made.
pub(super) struct Changes {
    apple: Receiver<apns::DeviceChange>,
    google: Receiver<fcm::DeviceChange>,
}

/// Something that happened on a device.
pub(super) struct Seen {
    pub(super) device: Option<Device>,
    pub(super) what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A notification with this title appeared.
    Rings(String),
    /// The app took a notification away, because it was told to.
    Clears,
    /// Nothing that a person would see, or something that the person did.
    Else,
}

impl Changes {
    pub(super) fn of(stage: &Stage) -> Self {
        Self { apple: stage.apns.subscribe(), google: stage.fcm.subscribe() }
    }

    /// Waits for what happens next.
    ///
    /// # Errors
    /// [`RecvError`] if too much happened meanwhile, or a simulator stopped.
    pub(super) async fn next(&mut self) -> Result<Seen, RecvError> {
        tokio::select! {
            change = self.apple.recv() => {
                let change = change?;
                Ok(Seen { device: device(&change.token), what: on_apple(change.change) })
            }
            change = self.google.recv() => {
                let change = change?;
                Ok(Seen { device: device(&change.token), what: on_google(change.change) })
            }
        }
    }
}

fn device(token: &str) -> Option<Device> {
    DEVICES.into_iter().find(|device| device.token == token)
}

fn on_apple(change: apns::Change) -> What {
    match change {
        apns::Change::Shown(it) | apns::Change::Replaced(it) => {
            What::Rings(it.push.title().unwrap_or_default().to_owned())
        }
        apns::Change::Removed(it) if it.by == apns::Remover::App => What::Clears,
        apns::Change::Removed(_) | apns::Change::Badge(_) | apns::Change::Woken(_) => What::Else,
    }
}

fn on_google(change: fcm::Change) -> What {
    match change {
        fcm::Change::Shown(it) | fcm::Change::Replaced(it) => {
            What::Rings(it.push.title().unwrap_or_default().to_owned())
        }
        fcm::Change::Removed(it) if it.by == fcm::Remover::App => What::Clears,
        fcm::Change::Removed(_) | fcm::Change::Woken(_) | fcm::Change::MessagesDeleted => {
            What::Else
        }
    }
}
