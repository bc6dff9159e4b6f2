//! Who asks, and in which connection.

use std::sync::Arc;

use campanile_core::AppId;

/// What a handler knows of the request besides its content. Every handler takes one, so that
/// authentication has a place to say who calls.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// The tenant the request is for.
    pub app: AppId,
    /// Who calls: the peer's address until callers authenticate.
    pub caller: Arc<str>,
    /// The id that answers and logs of this request carry.
    pub request_id: Arc<str>,
    /// The W3C `traceparent` of the request, if it has one.
    pub trace: Option<Arc<str>>,
}
