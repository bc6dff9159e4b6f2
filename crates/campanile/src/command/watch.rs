//! `campanile watch`

use campanile_api::ClientError;
use campanile_proto::v1;

use super::inbox::Item;
use super::{Client, Whom};
use crate::exit::{Failure, Kind};
use crate::output::say;
use crate::server;

/// The arguments.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    whom: Whom,
    /// Where an earlier watch ended; from now on if not said.
    #[arg(long, default_value = "", hide_default_value = true, allow_hyphen_values = true)]
    cursor: String,
}

/// Follows a user's notifications until the process is stopped, and then says where to resume.
///
/// # Errors
/// [`Failure`] if the stream breaks.
pub(crate) fn run(args: Args, client: &Client) -> Result<(), Failure> {
    client.run(|client, format| async move {
        let mut stop = server::stop_signal()?;
        let (app, target) = args.whom.into_wire();
        let mut cursor = args.cursor;
        let request = v1::WatchRequest { app, target, cursor: cursor.clone() };
        let mut changes = client.watch(request).await?;
        say("watching; Ctrl-C ends it");
        let end = loop {
            let message = tokio::select! {
                _ = stop.given() => break Ok(()),
                message = changes.message() => message,
            };
            match message {
                Ok(Some(message)) => {
                    cursor = message.cursor;
                    for item in message.items {
                        format.write(&Item::from(item))?;
                    }
                }
                Ok(None) => {
                    break Err(Failure::new(Kind::Unavailable, "the server ended the stream"));
                }
                Err(status) => break Err(ClientError::from(status).into()),
            }
        };
        say(format_args!("to resume: --cursor {cursor}"));
        end
    })
}
