//! A data directory, a configuration, a simulated Apple, and a server on them.

use std::path::PathBuf;

use campanile_api::Client;
use campanile_simulate::apns::{Config, Environment, Simulator, World};
use tempfile::TempDir;

use crate::process::{SOON, Server, campanile};

pub(crate) const APP: &str = "shop";
/// An app without a route.
pub(crate) const INBOX_APP: &str = "letters";
pub(crate) const TOPIC: &str = "org.example.shop";
pub(crate) const TEAM: &str = "TEAM000001";
const KEY: &str = "KEY0000001";

pub(crate) struct Tower {
    pub(crate) apns: Simulator,
    directory: TempDir,
}

impl Tower {
    /// Nothing runs yet but Apple.
    pub(crate) fn new() -> Self {
        let apns = Simulator::spawn_thread(Config::default()).unwrap();
        let key = apns.generate_key(TEAM, KEY).unwrap();
        apns.register_topic(TEAM, TOPIC);
        let tower = Self { apns, directory: tempfile::tempdir().unwrap() };
        write_private(&tower.path("key.p8"), &key.private_pem());
        std::fs::write(tower.path("ca.pem"), tower.apns.ca_pem()).unwrap();
        std::fs::write(tower.path("campanile.toml"), tower.config()).unwrap();
        tower
    }

    fn config(&self) -> String {
        let (address, data) = (self.apns.addr(), self.path("data"));
        format!(
            "[store]\ndirectory = {data:?}\npartitions = 8\n\
             [[apps]]\nid = \"{INBOX_APP}\"\n\
             [[apps]]\nid = \"{APP}\"\n\
             [[apps.apns]]\ntopic = \"{TOPIC}\"\nteam_id = \"{TEAM}\"\nkey_id = \"{KEY}\"\n\
             key_file = \"key.p8\"\nca_file = \"ca.pem\"\naddress = \"{address}\"\n"
        )
    }

    /// Lets devices be told of every change as it comes.
    pub(crate) fn tell_everything(&self) {
        let all = "[deliver]\nsilent_pushes = 1000\nsilent_window = \"1 s\"\n";
        std::fs::write(self.path("campanile.toml"), self.config() + all).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A command of the binary that knows the configuration.
    pub(crate) fn command(&self, args: &[&str]) -> std::process::Command {
        let mut command = campanile();
        command.args(args).arg("--config").arg(self.path("campanile.toml"));
        command
    }

    /// Starts a server, with every role unless some are named.
    pub(crate) fn start(&self, roles: Option<&str>) -> Server {
        let mut command = self.command(&["serve"]);
        if let Some(roles) = roles {
            command.args(["--role", roles]);
        }
        Server::start(command)
    }

    /// Starts a server and connects to it.
    pub(crate) async fn serve(&self, roles: Option<&str>) -> (Server, Client) {
        self.connect(self.start(roles)).await
    }

    /// Starts a server by a command of one's own and connects to it.
    pub(crate) async fn serve_by(&self, command: std::process::Command) -> (Server, Client) {
        self.connect(Server::start(command)).await
    }

    async fn connect(&self, server: Server) -> (Server, Client) {
        let address = server.address().await;
        let client = Client::connect(&address).await.unwrap();
        (server, client)
    }

    /// Makes Apple know a device.
    pub(crate) fn device(&self, token: &str) {
        self.apns.register_device(token, TOPIC, Environment::Production).unwrap();
    }

    /// Waits until what Apple and the devices know is as it should be.
    pub(crate) async fn wait_until(&self, what: &str, condition: impl FnMut(&World) -> bool) {
        if self.apns.wait_until(SOON, condition).await.is_err() {
            panic!("{what}: {:?}", self.apns.counts());
        }
    }

    /// How many pushes for a device were accepted.
    pub(crate) fn accepted(&self, token: &str) -> u64 {
        self.apns.device(token).unwrap().accepted()
    }

    /// Whether a device shows a notification.
    pub(crate) fn shows(&self, token: &str, id: &str) -> bool {
        self.apns.device(token).unwrap().shown(id).is_some()
    }
}

/// Writes a file that only its owner can read.
pub(crate) fn write_private(path: &PathBuf, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}
