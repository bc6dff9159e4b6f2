//! Spans in the collector's words.

use std::time::Duration;

use campanile_core::Tick;
use campanile_core::port::{Attribute, Clock, Span, SpanKind};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1 as wire;

/// The wall clock may be corrected by this much before spans are told by the corrected one: within
/// a trace they are to fit together.
const STEADY: Duration = Duration::from_millis(20);

/// When the process's clock began, by the wall clock.
#[derive(Debug, Default)]
pub(super) struct Epoch(Duration);

impl Epoch {
    /// Looks again at what time it is.
    pub(super) fn look(&mut self, clock: &dyn Clock) {
        let now = Duration::from_millis(clock.now().as_millis());
        let began = now.saturating_sub(clock.tick().since(Tick::default()));
        if began.abs_diff(self.0) > STEADY {
            self.0 = began;
        }
    }

    /// Nanoseconds since 1970.
    fn nanos(&self, tick: Tick) -> u64 {
        u64::try_from((self.0 + tick.since(Tick::default())).as_nanos()).unwrap_or(u64::MAX)
    }
}

/// The request that tells of `spans`.
pub(super) fn request(spans: Vec<Span>, epoch: &Epoch) -> ExportTraceServiceRequest {
    let (name, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    let spans = spans.into_iter().map(|span| of(span, epoch)).collect();
    let scope = InstrumentationScope {
        name: name.to_owned(),
        version: version.to_owned(),
        ..InstrumentationScope::default()
    };
    // OpenTelemetry semantic conventions, Resource, Service.
    let service = [("service.name", name), ("service.version", version)];
    let service = service.map(|(key, value)| attribute(key, Value::StringValue(value.to_owned())));
    let resource = Resource { attributes: service.into(), ..Resource::default() };
    let scope_spans =
        vec![wire::ScopeSpans { scope: Some(scope), spans, schema_url: String::new() }];
    ExportTraceServiceRequest {
        resource_spans: vec![wire::ResourceSpans {
            resource: Some(resource),
            scope_spans,
            schema_url: String::new(),
        }],
    }
}

fn of(span: Span, epoch: &Epoch) -> wire::Span {
    let kind = match span.kind {
        SpanKind::Server => wire::span::SpanKind::Server,
        SpanKind::Client => wire::span::SpanKind::Client,
        SpanKind::Consumer => wire::span::SpanKind::Consumer,
    };
    let failed = |message| wire::Status { message, code: wire::status::StatusCode::Error.into() };
    let attributes = span.attributes.into_iter().map(|(key, value)| match value {
        Attribute::Text(text) => attribute(key, Value::StringValue(text.into_owned())),
        Attribute::Number(number) => {
            attribute(key, Value::IntValue(i64::try_from(number).unwrap_or(i64::MAX)))
        }
    });
    wire::Span {
        trace_id: span.context.trace.into(),
        span_id: span.context.span.into(),
        parent_span_id: span.parent.map(Vec::from).unwrap_or_default(),
        flags: span.context.flags.into(),
        name: span.name.into_owned(),
        kind: kind.into(),
        start_time_unix_nano: epoch.nanos(span.began),
        end_time_unix_nano: epoch.nanos(span.ended),
        attributes: attributes.collect(),
        status: span.failure.map(failed),
        ..wire::Span::default()
    }
}

fn attribute(key: &str, value: Value) -> KeyValue {
    let (key, value) = (key.to_owned(), Some(AnyValue { value: Some(value) }));
    KeyValue { key, value, ..KeyValue::default() }
}
