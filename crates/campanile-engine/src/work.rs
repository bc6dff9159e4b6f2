//! Pieces of work that a trace follows.

use std::borrow::Cow;

use campanile_core::port::{Attribute, Span, SpanKind, Tracer};
use campanile_core::{Tick, TraceContext};

/// A piece of work that began and is to be told of when it ends.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    context: TraceContext,
    parent: Option<[u8; 8]>,
    began: Tick,
}

impl Work {
    /// Work below `parent`, if anybody wants to know.
    pub(crate) fn begin(
        tracer: &dyn Tracer,
        parent: Option<&TraceContext>,
        began: Tick,
    ) -> Option<Self> {
        let context = tracer.begin(parent)?;
        Some(Self { context, parent: parent.map(|parent| parent.span), began })
    }

    /// Its span, for what is part of it.
    pub(crate) const fn context(&self) -> &TraceContext {
        &self.context
    }

    /// It ended. Of what failed, `failure` says why.
    pub(crate) fn end(
        self,
        ended: Tick,
        (name, kind): (Cow<'static, str>, SpanKind),
        attributes: Vec<(&'static str, Attribute)>,
        failure: Option<String>,
    ) -> Span {
        let Self { context, parent, began } = self;
        Span { context, parent, name, kind, began, ended, attributes, failure }
    }
}

/// The value of an attribute that is written as a text.
pub(crate) fn text(value: impl ToString) -> Attribute {
    Attribute::Text(Cow::Owned(value.to_string()))
}
