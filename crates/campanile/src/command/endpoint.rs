//! `campanile endpoint add|list|retire|retired`

use std::fmt;
use std::time::Duration;

use campanile_core::Platform;
use campanile_proto::v1;
use clap::{Subcommand, ValueEnum};
use serde::Serialize;

use super::words::{seconds, word};
use super::{Client, Whom, instant, span};
use crate::exit::Failure;
use crate::output::say;

/// What to do about endpoints.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Registers an app installation, or its new address.
    Add(Add),
    /// Lists a user's endpoints.
    List {
        #[command(flatten)]
        whom: Whom,
    },
    /// Ends an endpoint.
    Retire(Retire),
    /// The endpoints of all users that were retired; at the end says where to resume.
    Retired {
        /// The app.
        #[arg(long)]
        app: String,
        /// Only what came since, by what an earlier call said.
        #[arg(long, allow_hyphen_values = true, value_name = "CURSOR")]
        cursor: Option<String>,
    },
}

/// The arguments of `add`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Add {
    /// The app.
    #[arg(long)]
    app: String,
    /// The app's own name for the user.
    #[arg(long)]
    user: String,
    /// The app's own name for the installation; it stays when the address changes.
    #[arg(long)]
    installation: String,
    #[command(flatten)]
    address: AddressArgs,
    /// What is pushed to it [default: payload]
    #[arg(long, value_enum)]
    style: Option<Style>,
    /// How long the registration lasts; 30 d if not said, which is the most.
    #[arg(long, value_parser = span, value_name = "DURATION")]
    lease: Option<Duration>,
}

/// Where the installation is reached: on an Apple device, or on an Android device.
#[derive(Clone, Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("device").required(true).args(["token", "fcm_token", "fcm_fid"]))]
struct AddressArgs {
    /// The device token that Apple gave the installation, in hexadecimal.
    #[arg(long, requires = "topic")]
    token: Option<String>,
    /// The app's bundle id.
    #[arg(long, requires = "token")]
    topic: Option<String>,
    /// Which of Apple's worlds issued the token [default: production]
    #[arg(long, value_enum, requires = "token")]
    environment: Option<Environment>,
    /// The registration token that Google gave the installation.
    #[arg(long, requires = "project")]
    fcm_token: Option<String>,
    /// The Firebase installation id.
    #[arg(long, requires = "project")]
    fcm_fid: Option<String>,
    /// The id of the Firebase project that the app belongs to.
    #[arg(long, conflicts_with = "token")]
    project: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Environment {
    #[default]
    Production,
    Sandbox,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Style {
    /// What there is to show or to tell.
    Payload,
    /// That something changed, without any content; the app fetches it.
    Signal,
    /// Nothing; the app fetches when it wants to.
    None,
}

/// The arguments of `retire`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Retire {
    /// The app.
    #[arg(long)]
    app: String,
    /// The handle that the installation got.
    #[arg(long, conflicts_with_all = ["user", "installation"])]
    #[arg(required_unless_present = "user", allow_hyphen_values = true)]
    unsid: Option<String>,
    /// The app's own name for the user.
    #[arg(long, requires = "installation")]
    user: Option<String>,
    /// The app's own name for the installation.
    #[arg(long, requires = "user")]
    installation: Option<String>,
}

#[derive(Debug, Serialize)]
struct Registered {
    endpoint_id: String,
    expires_at: String,
    unsid: String,
}

impl fmt::Display for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  until {}  {}", self.endpoint_id, self.expires_at, self.unsid)
    }
}

#[derive(Debug, Default, Serialize)]
struct Listed {
    endpoint_id: String,
    /// `live`, or why it is not.
    status: String,
    /// `apns` or `fcm`, of one that is live.
    platform: Option<&'static str>,
    topic: Option<String>,
    environment: Option<String>,
    project: Option<String>,
    push_style: Option<String>,
    since: String,
    lease_until: Option<String>,
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}  since {}", self.endpoint_id, self.status, self.since)?;
        let kind = self.platform.into_iter();
        let said = [&self.topic, &self.environment, &self.project, &self.push_style];
        let said = said.into_iter().flatten();
        for word in kind.chain(said.map(String::as_str)) {
            write!(f, "  {word}")?;
        }
        match &self.lease_until {
            Some(until) => write!(f, "  until {until}"),
            None => Ok(()),
        }
    }
}

/// Does what `command` says.
///
/// # Errors
/// [`Failure`].
pub(crate) fn run(command: Command, client: &Client) -> Result<(), Failure> {
    match command {
        Command::Add(add) => client.run(|client, format| async move {
            let answer = client.register_endpoint(registration(add)).await?;
            let v1::RegisterEndpointResponse { unsid, endpoint_id, expires_at } = answer;
            let expires_at = instant(expires_at.as_ref());
            Ok(format.write(&Registered { endpoint_id, expires_at, unsid })?)
        }),
        Command::List { whom } => client.run(|client, format| async move {
            let (app, target) = whom.into_wire();
            let answer = client.list_endpoints(v1::ListEndpointsRequest { app, target }).await?;
            for endpoint in answer.endpoints {
                format.write(&live(endpoint))?;
            }
            for endpoint in answer.retired {
                format.write(&retired(endpoint))?;
            }
            Ok(())
        }),
        Command::Retired { app, cursor } => client.run(|client, format| async move {
            let mut cursor = cursor.unwrap_or_default();
            loop {
                let (app, limit) = (app.clone(), Some(500));
                let request = v1::ListRetiredEndpointsRequest { app, cursor, limit };
                let page = client.list_retired_endpoints(request).await?;
                for endpoint in page.endpoints {
                    format.write(&retired(endpoint))?;
                }
                cursor = page.cursor;
                if !page.more {
                    break;
                }
            }
            say(format_args!("to resume: --cursor {cursor}"));
            Ok(())
        }),
        Command::Retire(retire) => client.run(|client, _| async move {
            client.retire_endpoint(retirement(retire)).await?;
            Ok(())
        }),
    }
}

fn registration(add: Add) -> v1::RegisterEndpointRequest {
    v1::RegisterEndpointRequest {
        app: add.app,
        user_id: add.user,
        installation_id: add.installation,
        address: Some(v1::Address { platform: add.address.into_wire() }),
        lease_seconds: add.lease.map(seconds),
        push_style: match add.style {
            None | Some(Style::Payload) => v1::PushStyle::Payload,
            Some(Style::Signal) => v1::PushStyle::Signal,
            Some(Style::None) => v1::PushStyle::None,
        }
        .into(),
    }
}

impl AddressArgs {
    /// The address, if it is one; the command line sees to it that it is.
    fn into_wire(self) -> Option<v1::address::Platform> {
        if let (Some(token), Some(topic)) = (self.token, self.topic) {
            let environment = match self.environment.unwrap_or_default() {
                Environment::Production => v1::Environment::Production,
                Environment::Sandbox => v1::Environment::Sandbox,
            };
            let environment = environment.into();
            let apns = v1::ApnsAddress { token, topic, environment };
            return Some(v1::address::Platform::Apns(apns));
        }
        let token = self.fcm_token.map(v1::fcm_address::Target::Token);
        let target = token.or(self.fcm_fid.map(v1::fcm_address::Target::Fid))?;
        let fcm = v1::FcmAddress { target: Some(target), project: self.project? };
        Some(v1::address::Platform::Fcm(fcm))
    }
}

fn retirement(retire: Retire) -> v1::RetireEndpointRequest {
    use v1::retire_endpoint_request::Endpoint;
    let Retire { app, unsid, user, installation } = retire;
    let named = user.zip(installation).map(|(user_id, installation_id)| {
        Endpoint::Installation(v1::Installation { user_id, installation_id })
    });
    v1::RetireEndpointRequest { app, endpoint: unsid.map(Endpoint::Unsid).or(named) }
}

fn live(endpoint: v1::Endpoint) -> Listed {
    let listed = Listed {
        push_style: Some(word(endpoint.push_style().as_str_name(), "PUSH_STYLE_")),
        endpoint_id: endpoint.endpoint_id,
        status: "live".to_owned(),
        since: instant(endpoint.registered_at.as_ref()),
        lease_until: Some(instant(endpoint.lease_until.as_ref())),
        ..Listed::default()
    };
    match endpoint.address.and_then(|address| address.platform) {
        Some(v1::address::Platform::Apns(apns)) => Listed {
            platform: Some(Platform::Apns.name()),
            environment: Some(word(apns.environment().as_str_name(), "ENVIRONMENT_")),
            topic: Some(apns.topic),
            ..listed
        },
        Some(v1::address::Platform::Fcm(fcm)) => {
            Listed { platform: Some(Platform::Fcm.name()), project: Some(fcm.project), ..listed }
        }
        None => listed,
    }
}

fn retired(endpoint: v1::RetiredEndpoint) -> Listed {
    Listed {
        status: word(endpoint.reason().as_str_name(), "RETIRE_REASON_"),
        since: instant(endpoint.retired_at.as_ref()),
        endpoint_id: endpoint.endpoint_id,
        ..Listed::default()
    }
}
