//! What is pushed to an endpoint is what its app asked for: everything, a signal, or nothing.

use campanile_api::Client;
use campanile_proto::v1;
use campanile_proto::v1::fcm_address::Target;

use crate::calls::{dismiss, notification, publish, register, settled, unsid, user};
use crate::platforms::{Both, PHONE, TABLET};
use crate::tower::{APP, TOPIC};

/// In everything that is told, and nowhere else.
const CANARY: &str = "Canary4711";
/// As an app gets it in raw content.
const IN_BASE64: &str = "Q2FuYXJ5NDcxMQ";

pub(crate) fn apple(token: &str, style: v1::PushStyle) -> v1::RegisterEndpointRequest {
    let environment = v1::Environment::Production.into();
    let apns = v1::ApnsAddress { token: token.to_owned(), topic: TOPIC.to_owned(), environment };
    v1::RegisterEndpointRequest {
        app: APP.to_owned(),
        user_id: "alice".to_owned(),
        installation_id: format!("installation of {token}"),
        address: Some(v1::Address { platform: Some(v1::address::Platform::Apns(apns)) }),
        push_style: style.into(),
        ..v1::RegisterEndpointRequest::default()
    }
}

fn google(style: v1::PushStyle) -> v1::RegisterEndpointRequest {
    let target = Some(Target::Token(TABLET.to_owned()));
    let fcm = v1::FcmAddress { target, project: crate::platforms::PROJECT.to_owned() };
    let address = Some(v1::Address { platform: Some(v1::address::Platform::Fcm(fcm)) });
    let installation_id = "tablet".to_owned();
    v1::RegisterEndpointRequest { address, installation_id, ..apple(PHONE, style) }
}

/// A notification that has the canary wherever a producer can put it.
fn told() -> v1::Notification {
    let canary = || Some(format!("{CANARY}.caf"));
    let visual =
        v1::Visual { title: CANARY.to_owned(), body: canary(), sound: canary(), badge: Some(7) };
    let raw = Some(CANARY.as_bytes().to_vec().into());
    v1::Notification {
        content: Some(v1::Content { visual: Some(visual), raw }),
        group: canary(),
        app_notification_id: canary(),
        campaign: canary(),
        ..notification("alice", CANARY, Some(CANARY))
    }
}

async fn add(client: &Client, request: v1::RegisterEndpointRequest) -> String {
    client.register_endpoint(request).await.unwrap().unsid
}

/// Why endpoints were left out of a notification.
pub(crate) async fn left_out(client: &Client, id: &str) -> Vec<v1::WhyNotPlanned> {
    let request = v1::ExplainRequest {
        app: APP.to_owned(),
        target: user("alice"),
        notification_id: id.to_owned(),
        endpoint_id: String::new(),
    };
    let steps = client.explain(request).await.unwrap().steps.into_iter();
    let why = steps.filter_map(|step| match step.step? {
        v1::explain_step::Step::NotPlanned(it) => Some(it.why()),
        _ => None,
    });
    why.collect()
}

#[tokio::test]
async fn no_byte_of_what_is_told_reaches_a_platform_by_a_signal() {
    let both = Both::new();
    let path = both.tower.path("campanile.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    // The phone is told of the dismissal as it comes, not half a minute after the signal.
    let all = "[deliver]\nsilent_pushes = 1000\nsilent_window = \"1 s\"\n";
    std::fs::write(path, format!("{config}{all}")).unwrap();
    let (server, client) = both.serve().await;
    let phone = add(&client, apple(PHONE, v1::PushStyle::Signal)).await;
    add(&client, google(v1::PushStyle::Signal)).await;
    let id = publish(&client, told()).await.unwrap().notification_id;
    assert_eq!(settled(&client, "alice", &id, 2).await.len(), 2);
    dismiss(&client, user("alice"), &id).await.unwrap();
    let ended = settled(&client, "alice", &id, 4).await;
    assert!(ended.iter().all(crate::calls::is_accepted), "{ended:?}");

    let (phones, tablets) =
        (both.tower.apns.device(PHONE).unwrap(), both.fcm.device(TABLET).unwrap());
    assert_eq!((phones.history().len(), tablets.history().len()), (2, 2));
    assert!(phones.screen().is_empty() && tablets.tray().is_empty());
    let apple = phones.history().map(|push| {
        assert_eq!((push.campanile().unwrap()["fetch"].as_bool(), push.priority), (Some(true), 5));
        format!("{push:?}")
    });
    let google = tablets.history().map(|push| {
        assert_eq!(push.campanile().unwrap()["fetch"], true);
        format!("{push:?}")
    });
    for push in apple.chain(google) {
        assert!(push.contains(&id), "the app is told which: {push}");
        assert!(!push.contains(CANARY) && !push.contains(IN_BASE64), "{push}");
    }

    // What it says is there to be fetched.
    let request = v1::SyncRequest {
        app: APP.to_owned(),
        target: unsid(&phone),
        cursor: String::new(),
        limit: None,
    };
    let items = client.sync(request).await.unwrap().items;
    let [item] = &items[..] else { panic!("{items:?}") };
    let visual = item.content.as_ref().and_then(|it| it.visual.as_ref()).unwrap();
    assert_eq!((visual.title.as_str(), item.action()), (CANARY, v1::UserAction::Dismissed));
    assert!(server.terminate().await.success());
}

#[tokio::test]
async fn nothing_is_pushed_to_who_asked_for_nothing() {
    let both = Both::new();
    let (server, client) = both.serve().await;
    register(&client, "alice", PHONE).await.unwrap();
    add(&client, google(v1::PushStyle::None)).await;
    let first = publish(&client, told()).await.unwrap().notification_id;
    both.phone(&first, true).await;
    dismiss(&client, user("alice"), &first).await.unwrap();
    both.phone(&first, false).await;
    let no_push = v1::WhyNotPlanned::NoPush;
    assert_eq!(left_out(&client, &first).await, [no_push, no_push], "the post and the dismissal");

    // Whoever asks for pushes again gets what is posted from then on.
    add(&client, google(v1::PushStyle::Payload)).await;
    let second = notification("alice", "Second bell", None);
    let second = publish(&client, second).await.unwrap().notification_id;
    both.tray(&[TABLET], &second, true).await;
    assert_eq!(both.fcm.device(TABLET).unwrap().accepted(), 1);
    let listed = crate::platforms::endpoints(&client).await.endpoints;
    assert!(listed.iter().all(|it| it.push_style() == v1::PushStyle::Payload), "{listed:?}");
    assert!(server.terminate().await.success());
}
