//! Whether the projection has in it what is durable: who was just answered expects to find it.

use std::time::Duration;

use campanile_core::Partition;

use super::Gateway;
use crate::Error;
use crate::tasks::sleep;

/// How often it is looked, and the wait between: half a second in all.
const LOOKS: u32 = 100;
const LOOK_AGAIN: Duration = Duration::from_millis(5);

impl Gateway {
    /// Waits until every event of the partition that is durable now is folded; answers whether it
    /// is. With a projection that is further behind than half a second, it is not.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if log or projection do not answer.
    pub(super) async fn is_caught_up(&self, partition: Partition) -> Result<bool, Error> {
        let durable = self.edge.events.bounds(partition).await?.end;
        for look in 0..LOOKS {
            if look > 0 {
                sleep(LOOK_AGAIN).await;
            }
            if self.edge.projection.view(partition, &[]).await?.checkpoint >= durable {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
