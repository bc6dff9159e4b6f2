//! The inbound edge: the gRPC services over the engine's roles, and a client of them.
//!
//! - [`serve`] runs the services of the roles it is given, with every limit set, until it is told
//!   to stop; then it drains.
//! - [`Client`] calls them.
//!
//! A handler makes a context, translates, asks the engine and translates back. What a failure
//! looks like is one table (`status.rs`); what tonic answers by itself is brought into the same
//! words (`admission.rs`).

mod admission;
mod arrival;
mod bind;
mod client;
mod connection;
mod context;
mod grpc;
mod sequence;
mod server;
mod status;

pub use bind::{Exposed, may_listen};
pub use client::{Client, ClientError};
pub use grpc::RouteReadings;
pub use server::{ServeError, ServerConfig, Services, serve};
