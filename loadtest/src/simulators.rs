//! The push services at the other end, in a process of their own: simulated, with every check on,
//! and devices that keep nothing. What they accept is told to the generator, push by push.

use std::io::{self, BufRead, Write};
use std::mem::take;
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use campanile_simulate::{Accepted, Action, Fate, Fault, Recording, Tap, When, apns, fcm};

use crate::addresses::{KEY, PROJECT, TEAM, apns_token, device_of, devices, fcm_token, topic};
use crate::arrival::{Arrival, Said};
use crate::error::LoadError;
use crate::plan::Plan;
use crate::scenario::Scenario;
use crate::wire::{self, Order, Place, Setup, Tally, Word};

/// How long arrivals are collected before they are told together.
const TOGETHER: Duration = Duration::from_millis(1);

/// Apple and Google. Dropping it stops them.
struct Simulators {
    apns: apns::Simulator,
    key: apns::SigningKey,
    google: Option<(fcm::Simulator, fcm::ServiceAccount)>,
    latency: Duration,
}

/// What was accepted and is not told yet.
#[derive(Default)]
struct Heard {
    /// When the load began.
    began: OnceLock<Instant>,
    /// Arrivals as they go over the wire. It grows only while the generator does not read.
    untold: Mutex<Vec<u8>>,
    more: Condvar,
    /// The body of a push to Apple.
    sample: OnceLock<Vec<u8>>,
}

/// Follows the orders that come from standard input, until they end.
///
/// # Errors
/// [`LoadError`] if there is no first order, or nobody reads what is told.
pub(crate) fn obey() -> Result<(), LoadError> {
    let mut orders = io::stdin().lock().lines();
    let mut next = || match orders.next() {
        Some(line) => Ok(Some(serde_json::from_str::<Order>(&line?)?)),
        None => Ok::<_, LoadError>(None),
    };
    let Some(Order::Start(scenario, ip)) = next()? else {
        return Err(LoadError::platform("the first order must be to start"));
    };
    let heard = Arc::new(Heard::default());
    let simulators = match Simulators::start(&scenario, ip, &heard) {
        Ok(simulators) => simulators,
        Err(error) => return Ok(heard.say(&Word::Failed(error.to_string()))?),
    };
    heard.say(&Word::Ready(Box::new(simulators.setup())))?;
    let telling = heard.clone();
    std::thread::spawn(move || telling.tell_on());
    while let Some(order) = next()? {
        match order {
            Order::Start(..) => return Err(LoadError::platform("it has started")),
            Order::Begin(at) => heard.begin(at),
            Order::Down => simulators.down(),
            Order::Up => simulators.up(),
            Order::Tell => {
                let tally = simulators.tally(&heard)?;
                heard.say(&Word::Tally(Box::new(tally)))?;
            }
        }
    }
    Ok(())
}

impl Simulators {
    fn start(scenario: &Scenario, ip: IpAddr, heard: &Arc<Heard>) -> Result<Self, LoadError> {
        let recording = Recording::CountsOnly;
        let listening = heard.clone();
        let tap = Tap::new(move |push| {
            listening.sample.get_or_init(|| push.body.to_vec());
            listening.hear(push);
        });
        let address = (ip, 0).into();
        let config = apns::Config { address, recording, tap: Some(tap), ..apns::Config::default() };
        let apns = apns::Simulator::spawn_thread(config).map_err(LoadError::platform)?;
        let key = apns.generate_key(TEAM, KEY).map_err(LoadError::platform)?;
        let mut google = None;
        if scenario.fcm_percent > 0 {
            let listening = heard.clone();
            let tap = Some(Tap::new(move |push| listening.hear(push)));
            let quotas = fcm::Quotas::NONE;
            let config = fcm::Config { address, recording, tap, quotas, ..fcm::Config::default() };
            let fcm = fcm::Simulator::spawn_thread(config).map_err(LoadError::platform)?;
            let account = fcm.generate_account(PROJECT).map_err(LoadError::platform)?;
            google = Some((fcm, account));
        }
        let latency = Duration::from_millis(scenario.latency_ms);
        let simulators = Self { apns, key, google, latency };
        simulators.up();
        simulators.register(scenario)?;
        Ok(simulators)
    }

    fn register(&self, scenario: &Scenario) -> Result<(), LoadError> {
        let plan = Plan::of(scenario);
        for app in plan.apps() {
            self.apns.register_topic(TEAM, topic(app));
        }
        for (user, endpoint) in devices(scenario, &plan) {
            match &self.google {
                Some((fcm, _)) if scenario.is_fcm(user, endpoint) => {
                    fcm.register_device(PROJECT, &fcm_token(user, endpoint))
                        .map_err(LoadError::platform)?;
                }
                _ => {
                    let production = apns::Environment::Production;
                    let (token, topic) = (apns_token(user, endpoint), topic(plan.app(user)));
                    let registered = self.apns.register_device(&token, topic, production);
                    registered.map_err(LoadError::platform)?;
                }
            }
        }
        Ok(())
    }

    fn setup(&self) -> Setup {
        let place = |address: std::net::SocketAddr, ca: &str| Place {
            address: address.to_string(),
            ca_pem: ca.to_owned(),
        };
        let google = self.google.as_ref();
        Setup {
            apns: place(self.apns.addr(), self.apns.ca_pem()),
            key_pem: self.key.private_pem(),
            google: google.map(|(fcm, account)| (place(fcm.addr(), fcm.ca_pem()), account.json())),
        }
    }

    fn down(&self) {
        self.apns.inject(Fault::new(Action::Disconnect(Fate::Lost), When::Always));
        if let Some((fcm, _)) = &self.google {
            fcm.inject(Fault::new(Action::Disconnect(Fate::Lost), When::Always));
        }
    }

    fn up(&self) {
        self.apns.lift_all();
        let google = self.google.as_ref().map(|(fcm, _)| fcm);
        if let Some(fcm) = google {
            fcm.lift_all();
        }
        if !self.latency.is_zero() {
            self.apns.inject(Fault::delay(self.latency, When::Always));
            if let Some(fcm) = google {
                fcm.inject(Fault::delay(self.latency, When::Always));
            }
        }
    }

    fn tally(&self, heard: &Heard) -> Result<Tally, LoadError> {
        let mut totals = vec![self.apns.observe(|world| world.totals().clone())];
        if let Some((fcm, _)) = &self.google {
            totals.push(fcm.observe(|world| world.totals().clone()));
        }
        let mut tally = Tally::default();
        for totals in totals {
            tally.accepted += totals.counts.accepted;
            for (reason, count) in totals.reasons {
                *tally.rejected.entry(reason.into_owned()).or_default() += count;
            }
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        tally.bearer = self.key.provider_token(now.as_secs()).map_err(LoadError::platform)?;
        tally.sample = heard.sample.get().map(|body| String::from_utf8_lossy(body).into_owned());
        Ok(tally)
    }
}

impl Heard {
    /// The load began at `at`, in nanoseconds since the Unix epoch: two processes have no other
    /// clock in common.
    fn begin(&self, at: u64) {
        let began = UNIX_EPOCH + Duration::from_nanos(at);
        let since = SystemTime::now().duration_since(began).unwrap_or_default();
        self.began.get_or_init(|| Instant::now().checked_sub(since).unwrap_or_else(Instant::now));
    }

    fn hear(&self, push: &Accepted<'_>) {
        let at = self.began.get().map(Instant::elapsed).unwrap_or_default();
        let (user, endpoint) = device_of(push.device).unwrap_or((usize::MAX, usize::MAX));
        let arrival = Arrival {
            at: u64::try_from(at.as_nanos()).unwrap_or(u64::MAX),
            user: u32::try_from(user).unwrap_or(u32::MAX),
            endpoint: u8::try_from(endpoint).unwrap_or(u8::MAX),
            said: Said::of(push.body),
        };
        let mut untold = self.untold();
        if untold.is_empty() {
            self.more.notify_one();
        }
        untold.extend(arrival.to_bytes());
    }

    fn untold(&self) -> MutexGuard<'_, Vec<u8>> {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells arrivals as they come, until nobody listens.
    fn tell_on(&self) {
        loop {
            let mut untold = self.untold();
            while untold.is_empty() {
                untold = self.more.wait(untold).unwrap_or_else(PoisonError::into_inner);
            }
            drop(untold);
            std::thread::sleep(TOGETHER);
            if self.tell(&mut io::stdout().lock()).is_err() {
                return;
            }
        }
    }

    /// Takes what is untold only with the way out in hand, so that nothing overtakes it.
    fn tell(&self, out: &mut io::StdoutLock<'_>) -> io::Result<()> {
        let arrivals = take(&mut *self.untold());
        wire::write_arrivals(out, &arrivals)
    }

    /// Says a word, after what arrived before it.
    fn say(&self, word: &Word) -> io::Result<()> {
        let mut out = io::stdout().lock();
        self.tell(&mut out)?;
        wire::write_word(&mut out, word)?;
        out.flush()
    }
}
