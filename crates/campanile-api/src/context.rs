//! Who asks: every handler makes a [`RequestContext`] before anything else.

use std::sync::Arc;

use campanile_core::TraceContext;
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
            trace: trace.filter(|trace| TraceContext::parse(trace).is_some()).map(Arc::from),
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
        let mut broken = Request::new(());
        broken.metadata_mut().insert(TRACEPARENT, TRACE.to_uppercase().parse().unwrap());
        broken.extensions_mut().insert(Admitted::to(&["shop"]));
        assert_eq!(context(&broken, "shop").unwrap().trace, None);
        assert_eq!(context(&request, "bank").unwrap_err(), Answer::unknown_app());
        assert!(context(&request, "No App").is_err());
        assert!(context(&Request::new(()), "shop").is_err(), "a call that was not admitted");
    }
}
