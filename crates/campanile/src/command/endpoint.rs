//! `campanile endpoint add|list|retire`

use std::fmt;
use std::time::Duration;

use campanile_proto::v1;
use clap::{Subcommand, ValueEnum};
use serde::Serialize;

use super::words::{seconds, word};
use super::{Client, Whom, instant, span};
use crate::exit::Failure;

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
    /// The device token that Apple gave the installation, in hexadecimal.
    #[arg(long)]
    token: String,
    /// The app's bundle id.
    #[arg(long)]
    topic: String,
    /// Which of Apple's worlds issued the token.
    #[arg(long, value_enum, default_value_t)]
    environment: Environment,
    /// How long the registration lasts; 30 d if not said, which is the most.
    #[arg(long, value_parser = span, value_name = "DURATION")]
    lease: Option<Duration>,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Environment {
    #[default]
    Production,
    Sandbox,
}

/// The arguments of `retire`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Retire {
    /// The app.
    #[arg(long)]
    app: String,
    /// The handle that the installation got.
    #[arg(long, conflicts_with_all = ["user", "installation"])]
    #[arg(required_unless_present = "user")]
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

#[derive(Debug, Serialize)]
struct Listed {
    endpoint_id: String,
    /// `live`, or why it is not.
    status: String,
    topic: Option<String>,
    environment: Option<String>,
    since: String,
    lease_until: Option<String>,
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}  since {}", self.endpoint_id, self.status, self.since)?;
        if let (Some(topic), Some(environment)) = (&self.topic, &self.environment) {
            write!(f, "  {topic}  {environment}")?;
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
        Command::Retire(retire) => client.run(|client, _| async move {
            client.retire_endpoint(retirement(retire)).await?;
            Ok(())
        }),
    }
}

fn registration(add: Add) -> v1::RegisterEndpointRequest {
    let environment = match add.environment {
        Environment::Production => v1::Environment::Production,
        Environment::Sandbox => v1::Environment::Sandbox,
    };
    let Add { token, topic, .. } = add;
    let apns = v1::ApnsAddress { token, topic, environment: environment.into() };
    v1::RegisterEndpointRequest {
        app: add.app,
        user_id: add.user,
        installation_id: add.installation,
        address: Some(v1::Address { platform: Some(v1::address::Platform::Apns(apns)) }),
        lease_seconds: add.lease.map(seconds),
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
    let address = endpoint.address.and_then(|address| address.platform);
    let apns = address.and_then(|platform| match platform {
        v1::address::Platform::Apns(apns) => Some(apns),
        v1::address::Platform::Fcm(_) => None,
    });
    Listed {
        endpoint_id: endpoint.endpoint_id,
        status: "live".to_owned(),
        environment: apns
            .as_ref()
            .map(|apns| word(apns.environment().as_str_name(), "ENVIRONMENT_")),
        topic: apns.map(|apns| apns.topic),
        since: instant(endpoint.registered_at.as_ref()),
        lease_until: Some(instant(endpoint.lease_until.as_ref())),
    }
}

fn retired(endpoint: v1::RetiredEndpoint) -> Listed {
    Listed {
        status: word(endpoint.reason().as_str_name(), "RETIRE_REASON_"),
        since: instant(endpoint.retired_at.as_ref()),
        endpoint_id: endpoint.endpoint_id,
        topic: None,
        environment: None,
        lease_until: None,
    }
}
