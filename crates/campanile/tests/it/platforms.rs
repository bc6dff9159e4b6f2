//! Two platforms behind one publish: both ring, either clears the other, and trouble of one is not
//! the other's.

use campanile_api::{Client, ClientError};
use campanile_proto::v1;
use campanile_proto::v1::fcm_address::Target;
use campanile_simulate::fcm::{Config, Registration, ServiceAccount, Simulator, World};

use crate::calls::{dismiss, is_accepted, notification, publish, register, settled, unsid, user};
use crate::process::{SOON, Server};
use crate::tower::{APP, INBOX_APP, Tower, write_private};

pub(crate) const PROJECT: &str = "shop-4711";
/// Alice's iPhone.
pub(crate) const PHONE: &str = "a1";
/// Her Android tablet, as it was registered first: by a token, and another by its installation id.
pub(crate) const TABLET: &str = "tablet:APA91b";
const WATCH: &str = "watch";

/// A tower that also reaches a simulated Google.
pub(crate) struct Both {
    pub(crate) tower: Tower,
    pub(crate) fcm: Simulator,
    account: ServiceAccount,
}

impl Both {
    pub(crate) fn new() -> Self {
        let tower = Tower::new();
        tower.device(PHONE);
        let fcm = Simulator::spawn_thread(Config::default()).unwrap();
        let account = fcm.generate_account(PROJECT).unwrap();
        fcm.register_device(PROJECT, TABLET).unwrap();
        fcm.register_device(PROJECT, WATCH).unwrap();
        write_private(&tower.path("account.json"), &account.json());
        std::fs::write(tower.path("google.pem"), fcm.ca_pem()).unwrap();
        let (path, address) = (tower.path("campanile.toml"), fcm.addr());
        // The last app of the file is the one that has a route to Apple.
        let config = std::fs::read_to_string(&path).unwrap();
        let route = format!(
            "[[apps.fcm]]\naccount_file = \"account.json\"\n\
             ca_file = \"google.pem\"\naddress = \"{address}\"\n\
             sign_in = {{ ca_file = \"google.pem\", address = \"{address}\" }}\n"
        );
        std::fs::write(path, format!("{config}{route}")).unwrap();
        Self { tower, fcm, account }
    }

    pub(crate) async fn serve(&self) -> (Server, Client) {
        self.tower.serve(None).await
    }

    /// Waits until what Google and its devices know is as it should be.
    async fn google(&self, what: &str, condition: impl FnMut(&World) -> bool) {
        if self.fcm.wait_until(SOON, condition).await.is_err() {
            panic!("{what}: {:?}", self.fcm.counts());
        }
    }

    /// Waits until the phone shows a notification, or does not.
    pub(crate) async fn phone(&self, id: &str, shows: bool) {
        let is_right = |device: &campanile_simulate::apns::Device| device.shown(id).is_some();
        self.tower
            .wait_until("the phone", |world| is_right(world.device(PHONE).unwrap()) == shows)
            .await;
    }

    /// Waits until devices of Google show a notification, or do not.
    pub(crate) async fn tray(&self, devices: &[&str], id: &str, shows: bool) {
        let shown = |world: &World, it| world.device(it).unwrap().shown(id).is_some();
        self.google("the tray", |world| devices.iter().all(|it| shown(world, it) == shows)).await;
    }
}

pub(crate) async fn register_fcm(
    client: &Client,
    whose: &str,
    target: Target,
) -> Result<v1::RegisterEndpointResponse, ClientError> {
    let installation_id = format!("{target:?}");
    let fcm = v1::FcmAddress { target: Some(target), project: PROJECT.to_owned() };
    let request = v1::RegisterEndpointRequest {
        app: APP.to_owned(),
        user_id: whose.to_owned(),
        installation_id,
        address: Some(v1::Address { platform: Some(v1::address::Platform::Fcm(fcm)) }),
        ..v1::RegisterEndpointRequest::default()
    };
    client.register_endpoint(request).await
}

pub(crate) fn tablet() -> Target {
    Target::Token(TABLET.to_owned())
}

pub(crate) async fn told(client: &Client, title: &str) -> String {
    publish(client, notification("alice", title, None)).await.unwrap().notification_id
}

pub(crate) async fn endpoints(client: &Client) -> v1::ListEndpointsResponse {
    let request = v1::ListEndpointsRequest { app: APP.to_owned(), target: user("alice") };
    client.list_endpoints(request).await.unwrap()
}

#[tokio::test]
async fn one_publish_rings_on_both_and_a_dismissal_on_one_clears_the_other() {
    let both = Both::new();
    let (server, client) = both.serve().await;
    let phone = register(&client, "alice", PHONE).await.unwrap().unsid;
    let tablet = register_fcm(&client, "alice", tablet()).await.unwrap().unsid;
    register_fcm(&client, "alice", Target::Fid(WATCH.to_owned())).await.unwrap();
    let android = [TABLET, WATCH];

    let first = told(&client, "Bell").await;
    both.phone(&first, true).await;
    both.tray(&android, &first, true).await;
    dismiss(&client, unsid(&phone), &first).await.unwrap();
    both.tray(&android, &first, false).await;

    let second = told(&client, "Second bell").await;
    both.phone(&second, true).await;
    both.tray(&android, &second, true).await;
    dismiss(&client, unsid(&tablet), &second).await.unwrap();
    both.phone(&second, false).await;
    both.tray(&[WATCH], &second, false).await;

    for id in [&first, &second] {
        let ended = settled(&client, "alice", id, 5).await;
        assert!(ended.len() == 5 && ended.iter().all(is_accepted), "{ended:?}");
    }
    // The log has every delivery by now, so this is final: nobody is told what it did itself.
    assert_eq!(both.tower.accepted(PHONE), 3);
    assert_eq!(android.map(|it| both.fcm.device(it).unwrap().accepted()), [3, 4]);
    assert_eq!((both.fcm.counts().rejected, both.fcm.sign_ins()), (0, 1));
    assert!(server.terminate().await.success());
}

/// A score that changes: the same name is the same notification, on every screen.
#[tokio::test]
async fn a_revision_takes_the_place_of_what_is_shown() {
    let both = Both::new();
    let (server, client) = both.serve().await;
    register(&client, "alice", PHONE).await.unwrap();
    register_fcm(&client, "alice", tablet()).await.unwrap();
    let scores = ["1 : 0", "1 : 1", "2 : 1"];
    let mut ids = Vec::new();
    for score in scores {
        let name = Some("match-7".to_owned());
        let goal =
            v1::Notification { app_notification_id: name, ..notification("alice", score, None) };
        let id = publish(&client, goal).await.unwrap().notification_id;
        both.tower
            .wait_until(score, |world| {
                let shown = world.device(PHONE).unwrap().shown(&id);
                shown.is_some_and(|shown| shown.push.title() == Some(score))
            })
            .await;
        both.google(score, |world| {
            let shown = world.device(TABLET).unwrap().shown(&id);
            shown.is_some_and(|shown| shown.push.title() == Some(score))
        })
        .await;
        ids.push(id);
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "one notification");
    let (phone, tablet) =
        (both.tower.apns.device(PHONE).unwrap(), both.fcm.device(TABLET).unwrap());
    assert_eq!((phone.screen().len(), tablet.tray().len()), (1, 1));
    let replaced = (phone.screen()[&ids[0]].replaced, tablet.tray()[&ids[0]].replaced);
    assert_eq!(replaced, (2, 2));
    assert!(server.terminate().await.success());
}

#[tokio::test]
async fn a_wrong_credential_holds_its_platform_only() {
    let both = Both::new();
    assert!(both.fcm.revoke_account(both.account.email()));
    let (server, client) = both.serve().await;
    register(&client, "alice", PHONE).await.unwrap();
    register_fcm(&client, "alice", tablet()).await.unwrap();
    let first = told(&client, "Bell").await;
    both.phone(&first, true).await;
    let log = server.log_with("route held").await;
    assert!(log.contains("Credential"), "{log}");
    let second = told(&client, "Second bell").await;
    both.phone(&second, true).await;
    let request = v1::GetOutcomesRequest {
        app: APP.to_owned(),
        target: user("alice"),
        notification_id: first.clone(),
    };
    let held = async {
        loop {
            let outcomes = client.get_outcomes(request.clone()).await.unwrap();
            let waiting = outcomes.deliveries.into_iter().filter(|it| it.waits_for.is_some());
            let waiting: Vec<_> = waiting.collect();
            if !waiting.is_empty() {
                return waiting;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    let held = tokio::time::timeout(SOON, held).await.expect("the tablet's delivery waits");
    let [waiting] = &held[..] else { panic!("{held:?}") };
    assert_eq!(waiting.platform(), v1::Platform::Fcm);
    assert_eq!(waiting.waits_for.as_ref().unwrap().why(), v1::HoldReason::Credential);
    let log = server.log_with("route held").await;
    for held in log.lines().filter(|line| line.contains("route held")) {
        assert!(held.contains("shop/fcm/production/shop-4711"), "{log}");
    }
    assert_eq!(both.fcm.counts().accepted, 0);
    let listed = endpoints(&client).await;
    assert_eq!((listed.endpoints.len(), listed.retired.len()), (2, 0), "nobody is retired for it");
    assert!(server.terminate().await.success());

    // Mended. What waits is told by the group's progress, and read from the log again.
    both.fcm.register_account(both.account.public()).unwrap();
    let (server, client) = both.serve().await;
    let third = told(&client, "Third bell").await;
    both.phone(&third, true).await;
    for id in [&first, &second, &third] {
        both.tray(&[TABLET], id, true).await;
    }
    assert_eq!(both.fcm.counts().accepted, 3, "each once");
    assert_eq!(both.tower.accepted(PHONE), 3, "nothing rings for the second time");
    assert!(server.terminate().await.success());
}

#[tokio::test]
async fn an_unregistered_address_is_retired_once() {
    let both = Both::new();
    let (server, client) = both.serve().await;
    register(&client, "alice", PHONE).await.unwrap();
    let gone = register_fcm(&client, "alice", tablet()).await.unwrap().endpoint_id;
    assert!(both.fcm.set_registration(TABLET, Registration::Unregistered));

    let first = told(&client, "Bell").await;
    settled(&client, "alice", &first, 2).await;
    let retired = async {
        loop {
            let listed = endpoints(&client).await;
            if !listed.retired.is_empty() {
                return listed;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    let listed = tokio::time::timeout(SOON, retired).await.expect("the endpoint is retired");
    let [retired] = &listed.retired[..] else { panic!("{listed:?}") };
    assert_eq!((&retired.endpoint_id, retired.reason()), (&gone, v1::RetireReason::AddressGone));
    assert_eq!(listed.endpoints.len(), 1, "{listed:?}");

    for title in ["Second bell", "Third bell"] {
        let id = told(&client, title).await;
        let ended = settled(&client, "alice", &id, 1).await;
        assert!(ended.len() == 1 && is_accepted(&ended[0]), "{ended:?}");
        both.phone(&id, true).await;
    }
    let counts = both.fcm.counts();
    assert_eq!((counts.rejected, counts.accepted), (1, 0), "it is not asked again: {counts:?}");
    let again = endpoints(&client).await.retired;
    assert_eq!(again, listed.retired, "retired once");
    assert!(server.terminate().await.success());
}

/// Apple counts the JSON, in which a quotation mark takes two bytes; Google counts the text.
#[tokio::test]
async fn what_one_platform_cannot_carry_is_refused_only_if_it_is_meant() {
    let both = Both::new();
    let (server, client) = both.serve().await;
    register_fcm(&client, "alice", tablet()).await.unwrap();
    let long = |platforms: &[v1::Platform]| {
        let title = "Bell".to_owned();
        let visual = v1::Visual { title, body: Some("\"".repeat(3000)), ..Default::default() };
        v1::Notification {
            content: Some(v1::Content { visual: Some(visual), raw: None }),
            platforms: platforms.iter().map(|&it| it.into()).collect(),
            ..notification("alice", "", None)
        }
    };
    for platforms in [&[][..], &[v1::Platform::Apns], &[v1::Platform::Fcm, v1::Platform::Apns]] {
        let refused = publish(&client, long(platforms)).await;
        let Err(ClientError::Refused { code, field, .. }) = refused else { panic!("{refused:?}") };
        let expected = (tonic::Code::InvalidArgument, Some("content"));
        assert_eq!((code, field.as_deref()), expected);
    }
    let visual = long(&[]).content.and_then(|content| content.visual);
    let fallback = Some(v1::Fallback { after_seconds: 60, visual });
    let refused = v1::Notification { fallback, ..notification("alice", "Bell", None) };
    let refused = publish(&client, refused).await;
    let Err(ClientError::Refused { field, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(field.as_deref(), Some("fallback.visual"));
    let meant = publish(&client, long(&[v1::Platform::Fcm])).await.unwrap().notification_id;
    both.tray(&[TABLET], &meant, true).await;
    // An app without a route has nobody that could not carry it.
    let letter = v1::PublishRequest { app: INBOX_APP.to_owned(), notification: Some(long(&[])) };
    client.publish(letter).await.unwrap();
    assert!(server.terminate().await.success());
}
