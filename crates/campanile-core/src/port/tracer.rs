//! Spans: what a process tells of one piece of work, for whoever follows a request through many.

use std::borrow::Cow;

use crate::{Tick, TraceContext};

/// Takes spans.
///
/// # Contract
/// - Neither call waits, and neither fails: a span that finds no room is lost and counted.
/// - A span holds no content, no address, and no name that a user has.
pub trait Tracer: Send + Sync {
    /// The span of a piece of work that begins, below `parent` if there is one; nothing if it is not
    /// to be recorded. A parent that is recorded has recorded children, and one that is not, not.
    fn begin(&self, parent: Option<&TraceContext>) -> Option<TraceContext>;

    /// Takes a span that ended.
    fn record(&self, span: Span);
}

/// One piece of work (OpenTelemetry, Tracing API, Span).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Which it is.
    pub context: TraceContext,
    /// The span it is part of, if one is known.
    pub parent: Option<[u8; 8]>,
    /// What kind of work: few names, many spans.
    pub name: Cow<'static, str>,
    /// Which side of a call it is.
    pub kind: SpanKind,
    /// When it began.
    pub began: Tick,
    /// When it ended.
    pub ended: Tick,
    /// What else is known, by name.
    pub attributes: Vec<(&'static str, Attribute)>,
    /// Why it failed, if it did.
    pub failure: Option<String>,
}

/// Which side of a call a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// Answers a call.
    Server,
    /// Makes a call.
    Client,
    /// Works on what was recorded before.
    Consumer,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// A text.
    Text(Cow<'static, str>),
    /// A number.
    Number(u64),
}

/// Records nothing.
#[derive(Clone, Copy, Debug)]
pub struct Untraced;

impl Tracer for Untraced {
    fn begin(&self, _: Option<&TraceContext>) -> Option<TraceContext> {
        None
    }

    fn record(&self, _: Span) {}
}
