//! The vocabulary and the rules of Campanile.
//!
//! Everything here is pure: no I/O, no clock, no randomness, no runtime. The rules are three
//! functions and one check:
//!
//! - [`apply`]: how state follows from an event. The only fold there is.
//! - [`plan`]: who must hear of an event.
//! - [`judge`]: what to do about the outcome of an attempt.
//! - [`still_due`]: whether a planned delivery still matters, asked before each attempt.
//!
//! [`Account`] explains, from the log, what they led to.
//!
//! [`port`] names what the rules need from the world; adapters implement those traits and carry
//! a conformance suite from `campanile-testkit`.

mod agenda;
mod budget;
mod content;
mod deliver;
mod endpoint;
mod event;
mod explain;
mod fold;
mod health;
mod id;
mod judge;
mod plan;
mod platform;
pub mod port;
mod position;
mod quota;
mod receipt;
mod redelivery;
mod silence;
mod state;
mod sweep;
mod time;
mod trace;
mod urgency;

pub use agenda::{AgendaChange, AgendaEntry, Due, Parked, ParkedDelivery, PutOff};
pub use budget::RetryBudget;
pub use content::{Content, Fallback, Limits, Posted, Priority, RequestStamp, Visual};
pub use deliver::{Delivery, DeliveryKind, Suppression, compose, still_due};
pub use endpoint::{
    Address, ApnsToken, Endpoint, FcmTarget, FcmToken, PushStyle, RetireReason, Tombstone,
};
pub use event::{Event, Fact, Recorded, StateChange, UserAction};
pub use explain::{
    Account, Convergence, Explanation, Goal, OutcomeCounts, PlannedDelivery, Standing, Step, What,
    WhyNot,
};
pub use fold::{Changes, apply, found_under, touches};
pub use health::RouteHealth;
pub use id::{
    AppId, DeliveryId, EndpointId, Fingerprint, IdentityKey, InvalidId, NotificationId,
    RegistrationId, RequestKey, UserId, UserRef,
};
pub use judge::{HoldReason, Outcome, RetryPolicy, Verdict, judge};
pub use plan::{plan, plan_on};
pub use platform::{Environment, Platform, PlatformMask, Route};
pub use position::{Generation, LogIdentity, Offset, Partition, Position};
pub use quota::{Quota, Used};
pub use receipt::{End, Receipt, Settled};
pub use redelivery::{DeadReason, Redelivery};
pub use silence::SilentBudget;
pub use state::{
    AddressClaim, Change, Displaced, Ended, Holder, Item, ItemFallback, PostVerdict, Reach,
    RequestRecord, State,
};
pub use sweep::{Sweep, SweepStep, Sweeps, swept};
pub use time::{Tick, Timestamp};
pub use trace::TraceContext;
pub use urgency::Urgency;
