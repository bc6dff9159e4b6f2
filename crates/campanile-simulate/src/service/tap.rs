//! A tap: everything that is accepted passes by somebody who counts.

use std::fmt;
use std::sync::Arc;

/// What the tap is called with.
type Heard = dyn Fn(&Accepted<'_>) + Send + Sync;

/// Called with every push as it is accepted, on the simulator's thread: be short. It works whatever
/// is recorded, so a load test can follow each push while devices keep nothing.
#[derive(Clone)]
pub struct Tap(Arc<Heard>);

/// A push that was accepted, before it is answered.
#[derive(Clone, Copy, Debug)]
pub struct Accepted<'a> {
    /// The device, by the name in the request: of APNs the device token, of FCM the token or
    /// installation id.
    pub device: &'a str,
    /// The whole body.
    pub body: &'a [u8],
}

impl Tap {
    /// A tap that calls `heard`.
    pub fn new(heard: impl Fn(&Accepted<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(heard))
    }

    pub(crate) fn accepted(&self, device: &str, body: &[u8]) {
        (self.0)(&Accepted { device, body });
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tap(…)")
    }
}
