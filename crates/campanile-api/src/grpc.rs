//! The gRPC services: each handler makes a context, translates, asks the engine, translates back.

mod dead_letters;
mod endpoints;
mod explain;
mod history;
mod inbox;
mod notifications;
mod operations;
mod publish_stream;
mod watch;
mod words;

pub(crate) use dead_letters::DeadLetters;
pub(crate) use endpoints::Endpoints;
pub(crate) use history::History;
pub(crate) use inbox::Inbox;
pub(crate) use notifications::Notifications;
pub(crate) use operations::Operations;
pub use operations::RouteReadings;
