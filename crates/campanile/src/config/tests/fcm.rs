//! Routes to Google.

use std::sync::OnceLock;

use super::*;

const APP: &str = "\
[[apps]]
id = \"shop\"
[[apps.fcm]]
account_file = \"account.json\"
";

/// The file of an account. Its key is made once: that takes long.
pub(super) fn account() -> String {
    static ACCOUNT: OnceLock<String> = OnceLock::new();
    let make = || campanile_simulate::fcm::ServiceAccount::generate("bells-0815").unwrap().json();
    ACCOUNT.get_or_init(make).clone()
}

fn files(text: &str) -> Files {
    let files = Files::new(text);
    files.put("account.json", &account(), 0o600);
    files
}

#[test]
fn a_route_leads_to_the_project_of_its_account() {
    let files = files(&format!("{APP}address = \"127.0.0.1:5\"\nsign_in = {{ port = 8443 }}\n"));
    let config = files.load(Given::default()).unwrap().0;
    let id = AppId::new("shop").unwrap();
    let route = &config.apps[&id].fcm[0];
    assert_eq!(route.route(&id).to_string(), "shop/fcm/production/bells-0815");
    assert_eq!(route.server.host, "fcm.googleapis.com");
    assert_eq!(route.server.address.unwrap().port(), 5);
    let sign_in = (route.sign_in.host.as_str(), route.sign_in.port, route.sign_in.address);
    assert_eq!(sign_in, ("oauth2.googleapis.com", 8443, None));
    let printed = format!("{config:?}");
    assert!(!printed.contains("PRIVATE"), "{printed}");
    crate::compose::to_google(&config, crate::system::SystemClock::start()).unwrap();
}

#[test]
fn routes_with_the_same_file_share_the_account() {
    let files = files(&format!("{APP}{}", APP.replace("shop", "bank")));
    let config = files.load(Given::default()).unwrap().0;
    let accounts: Vec<_> =
        config.apps.values().flat_map(|app| &app.fcm).map(|route| &route.account).collect();
    assert!(Arc::ptr_eq(accounts[0], accounts[1]));
    crate::compose::to_google(&config, crate::system::SystemClock::start()).unwrap();
}

#[test]
fn mistakes_name_line_and_key() {
    let (_, route) = APP.split_once("[[apps.fcm]]").unwrap();
    let table = [
        (APP.replace("account.json", "none.json"), "4: apps.fcm.account_file: none.json: does not"),
        (APP.replace("account.json", "key.p8"), "4: apps.fcm.account_file: is not the JSON of a"),
        (format!("{APP}project = \"x\""), "5: apps.fcm.project: unknown field `project`"),
        (format!("{APP}host = \"a/b\""), "5: apps.fcm.host: must be a host"),
        (format!("{APP}address = \"a\""), "5: apps.fcm.address: must be an IP"),
        (format!("{APP}sign_in = {{ address = \"a\" }}"), "5: apps.fcm.sign_in: must be an IP"),
        (format!("{APP}sign_in = {{ adress = \"a\" }}"), "5: apps.fcm.sign_in: unknown field"),
        (format!("{APP}[[apps.fcm]]{route}"), "5: apps.fcm: the app has a route to this account's"),
    ];
    for (text, expected) in table {
        let refused = files(&text).refused(Given::default());
        assert!(refused.starts_with(&format!("campanile.toml:{expected}")), "{text:?}: {refused}");
    }
}

#[test]
fn a_secret_that_others_can_read_is_refused_and_not_repeated() {
    let files = files(APP);
    files.put("account.json", &account(), 0o640);
    let expected = "campanile.toml:4: apps.fcm.account_file: account.json: holds a secret and has \
                    mode 0640; `chmod 600` it";
    assert_eq!(files.refused(Given::default()), expected);
    let table = [
        ("\"service_account\"", "\"hunter2\"", "has a type that is not service_account"),
        ("https://oauth2", "hunter2://oauth2", "has a token_uri that is not an https address"),
        ("\"private_key\"", "\"hunter2\"", "has no private_key"),
        ("BEGIN", "hunter2", "has a private_key that is no RSA key in PEM"),
    ];
    for (from, to, expected) in table {
        assert!(account().contains(from), "{from}");
        files.put("account.json", &account().replace(from, to), 0o600);
        let refused = files.refused(Given::default());
        let expected = format!("campanile.toml:4: apps.fcm.account_file: {expected}");
        assert_eq!(refused, expected, "{from}");
    }
}
