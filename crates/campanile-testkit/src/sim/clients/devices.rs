//! Devices: installing the app, registering, losing it.

use std::time::Duration;

use campanile_core::{EndpointId, PushStyle, Timestamp};
use campanile_engine::gateway::{Register, Registered, Retire};

use super::{Answer, Clients, address};
use crate::sim::faults::Fault;
use crate::sim::held;
use crate::sim::provider::DeviceNo;

/// What devices are reached by: as often by either platform.
const REACHED: [Reached; 4] =
    [Reached::Apple, Reached::Apple, Reached::Token, Reached::Installation];

/// What apps ask for.
const STYLES: [PushStyle; 6] = [
    PushStyle::Payload,
    PushStyle::Payload,
    PushStyle::Payload,
    PushStyle::Payload,
    PushStyle::Signal,
    PushStyle::None,
];

/// One installation of the app.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    pub(crate) user: usize,
    pub(crate) installation: String,
    pub(crate) reached: Reached,
    /// The topic, or the project, of the app.
    pub(crate) credential: &'static str,
    pub(crate) token: String,
    /// What its app asks for.
    style: PushStyle,
    tokens: u32,
    unsid: Option<String>,
    is_installed: bool,
    /// A call about it is under way.
    is_busy: bool,
    /// The registration is certainly current until then; `None`: nobody can tell.
    pub(crate) registered_until: Option<Timestamp>,
}

/// What a device is reached by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reached {
    /// A device token of Apple's.
    Apple,
    /// A registration token of Google's.
    Token,
    /// An installation id of Google's.
    Installation,
}

impl Device {
    /// The handle, if it is a device of `user` with one.
    pub(super) fn handle_of(&self, user: usize) -> Option<String> {
        self.unsid.clone().filter(|_| self.user == user && self.is_installed)
    }

    /// Whatever was asked for it will not be answered.
    pub(super) fn forget_calls(&mut self) {
        if self.is_busy {
            self.registered_until = None;
        }
        self.is_busy = false;
    }

    fn new_token(&mut self, number: usize) {
        self.tokens += 1;
        self.token = format!("{number:08x}{:08x}", self.tokens);
    }
}

impl Clients {
    /// Gives every user one to four devices.
    pub(super) fn buy_devices(&self) {
        for user in 0..self.ground.setup.users {
            for number in 0..self.random.between(1, 4) {
                let at = held(&self.book).devices.len();
                let mut device = Device {
                    user,
                    installation: format!("installation-{user}-{number}"),
                    reached: self.random.pick(&REACHED).copied().unwrap_or(Reached::Apple),
                    credential: if self.random.chance(800) {
                        "com.acme.app"
                    } else {
                        "com.acme.pro"
                    },
                    token: String::new(),
                    style: self.any_style(),
                    tokens: 0,
                    unsid: None,
                    is_installed: true,
                    is_busy: false,
                    registered_until: None,
                };
                device.new_token(at);
                self.ground.provider.install(&device.token, DeviceNo(at));
                held(&self.book).devices.push(device);
            }
        }
    }

    fn any_style(&self) -> PushStyle {
        self.random.pick(&STYLES).copied().unwrap_or_default()
    }

    pub(crate) fn endpoint(&self, device: &Device) -> EndpointId {
        self.key().endpoint(self.user_ref(device.user), &device.installation)
    }

    /// Takes a device that nobody has in hand; nobody else gets it until it is put down.
    fn take_up(&self, wanted: impl Fn(&Device) -> bool) -> Option<(usize, Device)> {
        let mut book = held(&self.book);
        let free = book.devices.iter().enumerate().filter(|(_, it)| !it.is_busy && wanted(it));
        let free: Vec<_> = free.map(|(at, _)| at).collect();
        let at = *self.random.pick(&free)?;
        let device = book.devices.get_mut(at)?;
        device.is_busy = true;
        device.registered_until = None;
        Some((at, device.clone()))
    }

    fn put_down(&self, at: usize, change: impl FnOnce(&mut Device)) {
        if let Some(device) = held(&self.book).devices.get_mut(at) {
            change(device);
            device.is_busy = false;
        }
    }

    /// Registers some device, with the token it has; an app that was lost is installed again.
    pub(super) async fn register(&self) {
        let Some((at, mut device)) = self.take_up(|_| true) else { return };
        if !device.is_installed {
            if self.random.chance(500) {
                device.new_token(at);
            }
            self.ground.provider.install(&device.token, DeviceNo(at));
        }
        self.register_as(at, device).await;
    }

    /// The platform gives a device a new token; the app tells a little later, or much later.
    pub(super) async fn rotate(&self) {
        let Some((at, mut device)) = self.take_up(|it| it.is_installed) else { return };
        self.ground.provider.kill(&device.token);
        device.new_token(at);
        self.ground.provider.install(&device.token, DeviceNo(at));
        self.stage().dawdle(0, 2000).await;
        self.register_as(at, device).await;
    }

    /// A device changes hands: its former user signs out, of which nobody tells us, and another one
    /// signs in. The address stays.
    pub(super) async fn hand_over(&self) {
        let Some((at, mut device)) = self.take_up(|it| it.is_installed) else { return };
        let user = self.any_user();
        if user == device.user {
            return self.put_down(at, |_| {});
        }
        self.stage().reach("device changes hands");
        self.stage().note(format_args!("device {at} of user {} is user {user}'s", device.user));
        (device.user, device.unsid) = (user, None);
        if let Some(known) = held(&self.book).devices.get_mut(at) {
            (known.user, known.unsid) = (user, None);
        }
        self.ground.provider.clear_all(DeviceNo(at));
        self.register_as(at, device).await;
    }

    async fn register_as(&self, at: usize, mut device: Device) {
        if self.random.chance(100) {
            device.style = self.any_style();
        }
        if device.style == PushStyle::None {
            self.stage().reach("asked for no pushes");
        }
        let Some(front) = self.front() else { return };
        let Some(address) = address(&device) else { return };
        let lease = self.random.chance(80).then(|| self.random.millis(20_000, 600_000));
        let lease = lease.map(|lease| lease.max(Duration::from_secs(1)));
        let (context, tag) = self.context();
        self.called(&tag, None, false);
        self.stage().note(format_args!("{tag} registers device {at} as {}", device.token));
        let (user, installation) = (Self::id_of(device.user), device.installation.clone());
        let style = device.style;
        let request = Register { user, installation, address, style, lease };
        let registered = front.gateway.register(&context, request).await;
        self.registered(at, &tag, registered.as_ref().ok());
        if let Err(error) = &registered {
            self.surprised("register", error);
            self.answered(&tag, None, Answer::of_error(error));
        }
        self.put_down(at, |it| {
            it.is_installed = true;
            (it.token, it.tokens, it.style) = (device.token, device.tokens, device.style);
        });
    }

    fn registered(&self, at: usize, tag: &str, registered: Option<&Registered>) {
        let Some(registered) = registered else { return };
        self.answered(tag, None, Answer::Done(None));
        if let Some(device) = held(&self.book).devices.get_mut(at) {
            device.unsid = Some(registered.unsid.clone());
            device.registered_until = Some(registered.expires_at);
        }
    }

    pub(super) async fn renew(&self) {
        let Some((at, device)) = self.take_up(|it| it.unsid.is_some()) else { return };
        let (Some(front), Some(unsid)) = (self.front(), device.unsid) else { return };
        let (context, tag) = self.context();
        self.called(&tag, None, false);
        let renewed = front.gateway.renew(&context, &unsid, None).await;
        match &renewed {
            // Nothing is known of what the endpoint was before.
            Ok(_) => self.answered(&tag, None, Answer::Done(None)),
            Err(error) => {
                self.surprised("renew", error);
                self.answered(&tag, None, Answer::of_error(error));
            }
        }
        self.put_down(at, |_| {});
    }

    pub(super) async fn retire(&self) {
        let Some((at, device)) = self.take_up(|_| true) else { return };
        let Some(front) = self.front() else { return };
        let (context, tag) = self.context();
        self.called(&tag, None, false);
        self.stage().note(format_args!("{tag} retires device {at}"));
        let which = match device.unsid.clone() {
            Some(unsid) if self.random.chance(500) => Retire::Unsid(unsid),
            _ => {
                let (user, installation) = (Self::id_of(device.user), device.installation);
                Retire::Installation { user, installation }
            }
        };
        match front.gateway.retire(&context, which).await {
            Ok(()) => self.answered(&tag, None, Answer::Done(None)),
            Err(error) => {
                self.surprised("retire", &error);
                self.answered(&tag, None, Answer::of_error(&error));
            }
        }
        self.put_down(at, |it| it.unsid = None);
    }

    /// An app is deleted from its device; nobody tells us.
    pub(crate) fn uninstall(&self) {
        let Some((at, device)) = self.take_up(|it| it.is_installed) else { return };
        self.stage().reach(Fault::Uninstall.name());
        self.stage().note(format_args!("device {at} loses the app"));
        self.ground.provider.kill(&device.token);
        self.ground.provider.clear_all(DeviceNo(at));
        self.put_down(at, |it| it.is_installed = false);
    }

    /// Registers some device, at the beginning; some are late.
    pub(crate) async fn register_first(&self) {
        if self.random.chance(850) {
            self.register().await;
        }
    }

    /// Registers every device that is not, so that the end of a run has somebody to ring.
    pub(crate) async fn register_all(&self) {
        for _ in 0..self.devices().len() {
            self.register().await;
        }
    }
}
