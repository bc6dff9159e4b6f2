//! What the rules and the roles need from the world.
//!
//! Each trait states its contract in its documentation; a suite in `campanile-testkit` checks it
//! against every adapter. Shapes are batches and data, not callbacks.

mod carried;
mod clock;
mod log;
mod namespace;
mod progress;
mod projection;
mod push;
mod tracer;

pub use carried::{Carried, CarriedState};
pub use clock::{Clock, Entropy};
pub use log::{
    AppendError, Batch, CommitError, EventLog, Flow, GroupEvent, GroupName, GroupReader, LogAdmin,
    NewRecord, ReadError, ReadLimit, Record, StartAt, Stream,
};
pub use namespace::{Begin, Digest, Held, Namespace, Namespaces, Sum};
pub use progress::{Hold, Progress};
pub use projection::{
    AgendaWrite, Applied, ChangeFeed, Claim, DueEntry, Epoch, FeedEvent, HistoryQuery, ItemOrder,
    ItemQuery, Items, Piece, PieceKey, PieceWrite, Projection, ProjectionError, RecordRef, Views,
    Write,
};
pub use push::{Fit, Push, PushBody, Pusher, RouteDown, Slot, SyncState, Told, Unfit};
pub use tracer::{Attribute, Span, SpanKind, Tracer, Untraced};
