//! Token buckets: how many messages a project or device may get.

/// Fills by a limit per minute, up to that limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    /// Thousandths of a message times 60: what one millisecond adds is then the limit itself.
    level: u64,
    at_ms: u64,
}

/// One message, in the unit of the level.
const MESSAGE: u64 = 60_000;

impl Bucket {
    pub(crate) fn full(per_minute: u32, now_ms: u64) -> Self {
        Self { level: u64::from(per_minute) * MESSAGE, at_ms: now_ms }
    }

    /// Takes one message out.
    ///
    /// # Errors
    ///
    /// In how many seconds there will be one.
    pub(crate) fn take(&mut self, per_minute: u32, now_ms: u64) -> Result<(), u64> {
        let rate = u64::from(per_minute);
        let gained = now_ms.saturating_sub(self.at_ms).saturating_mul(rate);
        self.level = self.level.saturating_add(gained).min(rate * MESSAGE);
        self.at_ms = self.at_ms.max(now_ms);
        match self.level.checked_sub(MESSAGE) {
            Some(rest) => {
                self.level = rest;
                Ok(())
            }
            None => Err((MESSAGE - self.level).div_ceil(rate.max(1) * 1000)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_a_minute_and_refills_evenly() {
        let mut bucket = Bucket::full(60, 0);
        assert!((0..60).all(|_| bucket.take(60, 0).is_ok()));
        assert_eq!(bucket.take(60, 0), Err(1));
        assert_eq!(bucket.take(60, 999), Err(1));
        assert_eq!(bucket.take(60, 1000), Ok(()));
        assert_eq!(bucket.take(60, 1000), Err(1));
        assert!((0..60).all(|_| bucket.take(60, 10_000_000).is_ok()));
        assert_eq!(bucket.take(60, 10_000_000), Err(1));
    }

    #[test]
    fn a_slow_bucket_asks_for_a_long_wait() {
        let mut bucket = Bucket::full(1, 0);
        assert_eq!(bucket.take(1, 0), Ok(()));
        assert_eq!(bucket.take(1, 0), Err(60));
    }
}
