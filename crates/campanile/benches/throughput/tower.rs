//! The simulator, and what the engine must know of it.

use std::time::{Duration, Instant};

use campanile_simulate::apns::{Config, Environment, Recording, SigningKey, Simulator};

/// The app under load.
pub(crate) const APP: &str = "bench";
/// Its bundle id.
pub(crate) const TOPIC: &str = "com.example.bench";
/// Apple's ids for whom the key belongs to, and for the key.
pub(crate) const TEAM: &str = "BENCHTEAM1";
pub(crate) const KEY: &str = "BENCHKEY01";

/// A simulator on a thread of its own, which counts and keeps nothing.
pub(crate) struct Tower {
    pub(crate) simulator: Simulator,
    pub(crate) key: SigningKey,
}

impl Tower {
    pub(crate) fn start() -> Self {
        let config = Config { recording: Recording::CountsOnly, ..Config::default() };
        let simulator = Simulator::spawn_thread(config).expect("a simulator");
        let key = simulator.generate_key(TEAM, KEY).expect("a key");
        simulator.register_topic(TEAM, TOPIC);
        Self { simulator, key }
    }

    /// Makes a device known to the platform; answers its token.
    pub(crate) fn device(&self, user: usize, endpoint: usize) -> String {
        let token = token(user, endpoint);
        let registered = self.simulator.register_device(&token, TOPIC, Environment::Production);
        registered.expect("a device token");
        token
    }

    /// Pushes accepted so far.
    pub(crate) fn accepted(&self) -> u64 {
        self.simulator.counts().accepted
    }

    /// Waits until so many pushes were accepted. It looks a hundred times a second: to be told of
    /// every push would cost a switch of threads for each, which is none of the engine's time.
    pub(crate) async fn wait_for(&self, accepted: u64) {
        let limit = Instant::now() + Duration::from_secs(300);
        while self.accepted() < accepted {
            assert!(Instant::now() < limit, "{} of {accepted} pushes", self.accepted());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// The device token of an endpoint.
pub(crate) fn token(user: usize, endpoint: usize) -> String {
    format!("{user:056x}{endpoint:08x}")
}
