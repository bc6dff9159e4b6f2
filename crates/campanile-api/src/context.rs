//! Who asks: every handler makes a [`RequestContext`] before anything else.

use std::sync::Arc;

use campanile_engine::RequestContext;
use campanile_proto::convert;
use tonic::Request;

use crate::admission::Admitted;
use crate::status::Answer;

const TRACEPARENT: &str = "traceparent";

/// What the headers of a call tell, before its message names the app.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    peer: Arc<str>,
    trace: Option<Arc<str>>,
    /// Also keeps the call's place as long as its answer streams.
    admitted: Option<Admitted>,
}

impl Caller {
    /// Reads the headers.
    pub(crate) fn of<T>(request: &Request<T>) -> Self {
        let admitted = request.extensions().get::<Admitted>().cloned();
        let peer = request.remote_addr().map_or_else(|| "unknown".into(), |peer| peer.to_string());
        let trace = request.metadata().get(TRACEPARENT).and_then(|value| value.to_str().ok());
        Self {
            peer: peer.into(),
            trace: trace.filter(|trace| is_traceparent(trace)).map(Arc::from),
            admitted,
        }
    }

    /// The context of a request for `app`, if the server knows it. Whoever is to authenticate
    /// narrows it to the apps of the caller.
    pub(crate) fn context(&self, app: &str) -> Result<RequestContext, Answer> {
        let app = convert::app(app)?;
        let admitted = self.admitted.as_ref().filter(|it| it.apps.contains(&app));
        let request_id = admitted.ok_or_else(Answer::unknown_app)?.request_id.clone();
        Ok(RequestContext { app, caller: self.peer.clone(), request_id, trace: self.trace.clone() })
    }
}

/// The context of a unary call whose message names `app`.
pub(crate) fn context<T>(request: &Request<T>, app: &str) -> Result<RequestContext, Answer> {
    Caller::of(request).context(app)
}

/// Whether `text` is a `traceparent` of version 00 (W3C Trace Context, 3.2). Another one is
/// ignored, as the specification asks.
fn is_traceparent(text: &str) -> bool {
    let is_hex = |part: &str, length| {
        part.len() == length
            && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let not_zero = |part: &str| part.bytes().any(|b| b != b'0');
    let mut parts = text.split('-');
    let parts = [parts.next(), parts.next(), parts.next(), parts.next(), parts.next()];
    let [Some("00"), Some(trace), Some(span), Some(flags), None] = parts else { return false };
    is_hex(trace, 32) && not_zero(trace) && is_hex(span, 16) && not_zero(span) && is_hex(flags, 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn the_context_has_what_the_headers_say() {
        let mut request = Request::new(());
        request.metadata_mut().insert(TRACEPARENT, TRACE.parse().unwrap());
        request.extensions_mut().insert(Admitted::to(&["shop"]));
        let found = context(&request, "shop").unwrap();
        assert_eq!(found.app.as_str(), "shop");
        assert_eq!(found.trace.as_deref(), Some(TRACE));
        assert_eq!(context(&request, "bank").unwrap_err(), Answer::unknown_app());
        assert!(context(&request, "No App").is_err());
        assert!(context(&Request::new(()), "shop").is_err(), "a call that was not admitted");
    }

    #[test]
    fn a_broken_trace_is_ignored() {
        assert!(is_traceparent(TRACE));
        let zero_trace = format!("00-{}-b7ad6b7169203331-01", "0".repeat(32));
        let zero_span = format!("00-0af7651916cd43dd8448eb211c80319c-{}-01", "0".repeat(16));
        let (upper, long) = (TRACE.to_uppercase(), format!("{TRACE}-00"));
        for bad in ["", "00", "x", &TRACE[1..], &upper, &long, &zero_trace, &zero_span] {
            assert!(!is_traceparent(bad), "{bad}");
        }
    }
}
