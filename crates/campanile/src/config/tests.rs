//! Tests of the configuration: precedence, and every kind of mistake.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;

mod fcm;

/// A directory with a configuration, and a key that only its owner can read.
struct Files(tempfile::TempDir);

impl Files {
    fn new(text: &str) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        let key = campanile_simulate::apns::SigningKey::generate("TEAM000001", "KEY0000001");
        files.put("key.p8", &key.unwrap().private_pem(), 0o600);
        files.put("campanile.toml", text, 0o644);
        files
    }

    fn put(&self, name: &str, text: &str, mode: u32) {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn load(&self, given: Given) -> Result<(Config, Vec<Effective>), ConfigError> {
        Config::load(Given { file: Some(self.path().join("campanile.toml")), ..given })
    }

    /// The error, without the directory.
    fn refused(&self, given: Given) -> String {
        let error = self.load(given).map(|_| ()).unwrap_err().to_string();
        error.replace(&format!("{}/", self.path().display()), "")
    }
}

fn variable(name: &str, value: &str) -> Given {
    let environment = BTreeMap::from([(name.to_owned(), Some(value.to_owned()))]);
    Given { environment, ..Given::default() }
}

const APP: &str = "\
[[apps]]
id = \"shop\"
[[apps.apns]]
topic = \"org.example.shop\"
team_id = \"TEAM000001\"
key_id = \"KEY0000001\"
key_file = \"key.p8\"
";

#[test]
fn without_anything_there_are_defaults() {
    let (config, effective) = Config::load(Given::default()).unwrap();
    assert_eq!(config.serve.listen.to_string(), DEFAULT_LISTEN);
    assert_eq!(config.serve.roles.len(), Role::ALL.len());
    assert_eq!(config.store.partitions, 64);
    assert_eq!(config.store.segment_bytes, 64 << 20);
    assert!(effective.iter().all(|it| it.origin == "default"));
}

#[test]
fn a_flag_beats_the_environment_beats_the_file_beats_the_default() {
    let files = Files::new("[serve]\nlisten = \"127.0.0.1:1\"\n[store]\npartitions = 8\n");
    let file = files.load(Given::default()).unwrap().0;
    assert_eq!((file.serve.listen.port(), file.store.partitions), (1, 8));
    let mut given = variable("CAMPANILE__SERVE__LISTEN", "127.0.0.1:2");
    assert_eq!(files.load(given.clone()).unwrap().0.serve.listen.port(), 2);
    given.flags.insert("serve.listen", ("--listen", "127.0.0.1:3".to_owned()));
    let (config, effective) = files.load(given).unwrap();
    assert_eq!(config.serve.listen.port(), 3);
    let listen = effective.iter().find(|it| it.setting == "serve.listen").unwrap();
    let expected = ("\"127.0.0.1:3\"", "--listen");
    assert_eq!((listen.value.as_str(), listen.origin.as_str()), expected);
}

#[test]
fn an_app_has_its_routes_and_its_key_is_not_printed() {
    let extra = "environment = \"sandbox\"\nhost = \"localhost\"\nport = 2197\n\
                 address = \"127.0.0.1:5\"\n";
    let files = Files::new(&format!("{APP}{extra}"));
    let config = files.load(Given::default()).unwrap().0;
    let route = &config.apps[&AppId::new("shop").unwrap()].apns[0];
    assert_eq!((route.environment, route.server.port), (Environment::Sandbox, 2197));
    let secret = fs::read_to_string(files.path().join("key.p8")).unwrap();
    let secret = secret.lines().nth(1).unwrap();
    assert!(!format!("{config:?}").contains(secret));
}

#[test]
fn routes_with_the_same_ids_share_one_key() {
    let second = APP.replace("shop", "bank");
    let files = Files::new(&format!("{APP}{second}"));
    let config = files.load(Given::default()).unwrap().0;
    let keys: Vec<_> =
        config.apps.values().flat_map(|app| &app.apns).map(|route| &route.key).collect();
    assert!(Arc::ptr_eq(keys[0], keys[1]));
    files.put("other.p8", "", 0o600);
    files.put("campanile.toml", &format!("{APP}{}", second.replace("key.p8", "other.p8")), 0o644);
    let refused = files.refused(Given::default());
    let expected = "campanile.toml:14: apps.apns.key_file: another route names another file";
    assert!(refused.starts_with(expected), "{refused}");
}

#[test]
fn mistakes_in_the_file_name_line_and_key() {
    let table = [
        ("[serve]\nlistn = \"x\"", "campanile.toml:2: serve.listn: unknown field `listn`"),
        ("[server]\n", "campanile.toml:1: server: unknown field `server`"),
        ("[serve]\nlisten = 5", "campanile.toml:2: serve.listen: must be an IP address and port"),
        ("[serve]\nlisten = \"localhost\"", "campanile.toml:2: serve.listen: must be an IP"),
        ("[store]\npartitions = \"64\"", "campanile.toml:2: store.partitions: must be a whole"),
        ("[store]\npartitions = 0", "campanile.toml:2: store.partitions: must be a whole"),
        (
            "[store]\nsegment_size = \"64 KiB\"\npartitions = 65",
            "campanile.toml:2: store.segment_size: must be at least 1 KiB for each partition",
        ),
        ("[store]\nsegment_size = 64", "campanile.toml:2: store.segment_size: must be a size"),
        ("[store]\nsegment_size = \"2 GiB\"", "campanile.toml:2: store.segment_size: must be 64"),
        ("[deliver]\ndrain = \"9 s\"", "campanile.toml:2: deliver.drain: must be 0 s to 8 s"),
        ("[observe]\nlisten = \"on\"", "campanile.toml:2: observe.listen: must be an IP address"),
        ("[observe]\nlisten = \"0.0.0.0:1\"", "campanile.toml:2: observe.listen: callers are not"),
        (
            "[observe]\nstuck_after = \"2 h\"",
            "campanile.toml:2: observe.stuck_after: must be 1 s to",
        ),
        ("[log]\nlevel = \"loud\"", "campanile.toml:2: log.level: must be error, warn"),
        ("[log]\nlevel = \"info\"\nlevel = \"warn\"", "campanile.toml:3: log.level: duplicate key"),
        ("[serve]\nroles = [\"deliver:pigeon\"]", "campanile.toml:2: serve.roles: must be some of"),
        ("[serve]\nroles = []", "campanile.toml:2: serve.roles: must be some of"),
        ("[serve]\nlisten = \"0.0.0.0:1\"", "campanile.toml:2: serve.listen: callers are not"),
        ("[serve\n", "campanile.toml:1"),
        ("[[apps]]\nid = \"No App\"", "campanile.toml:2: apps.id: has a character"),
        ("[[apps]]\nid = 5", "campanile.toml:2: apps.id: has the wrong type"),
        ("[[apps]]\nname = \"a\"", "campanile.toml:2: apps.name: unknown field `name`"),
        ("[[apps]]\nid = \"a\"\n[[apps]]\nid = \"a\"", "campanile.toml:4: apps.id: there is an"),
        ("[[apps]]\nid = \"a\"\n[[apps.apns]]\ntopic = \"x\"", "campanile.toml:3: apps.apns"),
    ];
    for (text, expected) in table {
        let refused = Files::new(text).refused(Given::default());
        assert!(refused.starts_with(expected), "{text:?}: {refused}");
        assert!(!refused.contains('\n'), "{refused}");
    }
}

#[test]
fn mistakes_in_a_route_name_line_and_key() {
    let route = |from: &str, to: &str| APP.replace(from, to);
    let table = [
        (route("TEAM000001", "team"), "campanile.toml:5: apps.apns.team_id: must be 10 capital"),
        (route("KEY0000001", "key"), "campanile.toml:6: apps.apns.key_id: must be 10 capital"),
        (route("key.p8", "none.p8"), "campanile.toml:7: apps.apns.key_file: none.p8: does not"),
        (route("key.p8", "campanile.toml"), "campanile.toml:7: apps.apns.key_file: campanile"),
        (route("org.example.shop", "a b"), "campanile.toml:4: apps.apns.topic: must be a bundle"),
        (format!("{APP}port = 70000"), "campanile.toml:8: apps.apns.port: has the wrong type"),
        (format!("{APP}host = \"a/b\""), "campanile.toml:8: apps.apns.host: must be a host"),
        (format!("{APP}address = \"a\""), "campanile.toml:8: apps.apns.address: must be an IP"),
        (format!("{APP}environment = \"x\""), "campanile.toml:8: apps.apns.environment: must be"),
        (format!("{APP}ca_file = \"none\""), "campanile.toml:8: apps.apns.ca_file: none: does"),
    ];
    for (text, expected) in table {
        let refused = Files::new(&text).refused(Given::default());
        assert!(refused.starts_with(expected), "{text:?}: {refused}");
    }
}

#[test]
fn a_secret_that_others_can_read_is_refused_and_not_repeated() {
    let files = Files::new(APP);
    files.put("key.p8", "top secret", 0o640);
    let expected = "campanile.toml:7: apps.apns.key_file: key.p8: holds a secret and has mode \
                    0640; `chmod 600` it";
    assert_eq!(files.refused(Given::default()), expected);
    files.put("key.p8", "top secret", 0o600);
    let refused = files.refused(Given::default());
    assert_eq!(
        refused,
        "campanile.toml:7: apps.apns.key_file: holds no P-256 private key in PEM \
         (the .p8 file that Apple gives out)"
    );
    for text in
        ["[serve]\nlisten = \"hunter2\"", "[[apps]]\nid = { x = \"hunter2\" }", "x = hunter2"]
    {
        let refused = Files::new(text).refused(Given::default());
        assert!(!refused.contains("hunter2"), "{refused}");
    }
}

#[test]
fn mistakes_in_the_environment_and_in_flags_name_them() {
    let table = [
        (variable("CAMPANILE__SERVE__LISTEN", "x"), "CAMPANILE__SERVE__LISTEN: must be an IP"),
        (variable("CAMPANILE__SERVE__LISTN", "x"), "CAMPANILE__SERVE__LISTN: is no setting"),
        (variable("CAMPANILE__STORE__PARTITIONS", "-1"), "CAMPANILE__STORE__PARTITIONS: must be"),
        (variable("CAMPANILE__SERVE__ROLES", "a,b"), "CAMPANILE__SERVE__ROLES: must be some of"),
    ];
    for (given, expected) in table {
        let error = Config::load(given).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    let mut given = Given::default();
    given.environment.insert("CAMPANILE__LOG__LEVEL".to_owned(), None);
    let error = Config::load(given).unwrap_err().to_string();
    assert_eq!(error, "CAMPANILE__LOG__LEVEL: is not UTF-8 text");
}

/// Whatever is wrong with a number, the limits that are told are those that hold, and those of the
/// documentation.
#[test]
fn a_number_out_of_its_limits_is_told_the_limits() {
    let page = repository("docs/configuration.md");
    for (setting, least, most) in [
        ("store.partitions", 1, 4096),
        ("deliver.connections", 1, 100),
        ("deliver.fcm_connections", 1, 100),
        ("deliver.silent_pushes", 1, 1000),
    ] {
        let load = |number: &str| {
            let mut given = Given::default();
            given.flags.insert(setting, ("--flag", number.to_owned()));
            Config::load(given).map(|_| ())
        };
        let (below, above) = ((least - 1).to_string(), (most + 1).to_string());
        for bad in ["many", "", "-1", "1.5", &below, &above, "65536", "99999999999999999999"] {
            let expected = format!("--flag: must be a whole number, {least} to {most}");
            assert_eq!(load(bad).unwrap_err().to_string(), expected, "{setting}: {bad}");
        }
        load(&least.to_string()).unwrap();
        load(&most.to_string()).unwrap();
        let row = page.lines().find(|line| line.starts_with(&format!("| `{setting}` "))).unwrap();
        assert!(row.contains(&format!("{least} to {most}")), "{row}");
    }
}

#[test]
fn beyond_loopback_only_on_purpose() {
    let outside = || variable("CAMPANILE__SERVE__LISTEN", "0.0.0.0:1");
    assert!(Config::load(outside()).is_err());
    let mut given = outside();
    given.flags.insert("serve.insecure_no_auth", ("--insecure-no-auth", "true".to_owned()));
    assert!(Config::load(given).is_ok());
}

/// A file of the repository.
fn repository(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)).unwrap()
}

#[test]
fn the_examples_are_good() {
    let account = fcm::account();
    for example in ["campanile", "simulated", "simulated-fcm"] {
        let files = Files::new(&repository(&format!("examples/{example}.toml")));
        let pem = fs::read_to_string(files.path().join("key.p8")).unwrap();
        files.put("AuthKey_KEY0000001.p8", &pem, 0o600);
        files.put("shop-firebase-adminsdk.json", &account, 0o600);
        files.put("account.json", &account, 0o600);
        let apns = campanile_simulate::apns::Simulator::spawn_thread(Default::default()).unwrap();
        files.put("ca.pem", apns.ca_pem(), 0o644);
        let (config, _) = files.load(Given::default()).unwrap();
        assert_eq!(config.apps.len(), 1, "{example}");
        let clock = crate::system::SystemClock::start();
        crate::compose::to_apple(&config, clock.clone()).unwrap();
        crate::compose::to_google(&config, clock).unwrap();
    }
}

#[test]
fn the_documentation_has_every_setting_and_its_default() {
    let page = repository("docs/configuration.md");
    for Effective { setting, value, .. } in Config::load(Given::default()).unwrap().1 {
        let row = page.lines().find(|line| line.starts_with(&format!("| `{setting}` ")));
        let row = row.unwrap_or_else(|| panic!("{setting} is not documented"));
        let default =
            if setting == "serve.roles" { "all".to_owned() } else { format!("`{value}`") };
        assert!(row.contains(&format!("| {default} |")), "{setting}: {row}");
    }
}
