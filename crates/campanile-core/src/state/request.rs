//! Remembered requests: what makes a retried publish one notification, and a failure that is asked
//! for again twice one redelivery.

use crate::{Fingerprint, NotificationId, Offset, Timestamp};

/// What became of a post, or of a redelivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostVerdict {
    /// It is a new revision; or the first redelivery of its failure.
    Accepted,
    /// The same request again: nothing.
    Repeated,
    /// The same request key with another body: it loses.
    Conflicted,
}

/// The first post or redelivery of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestRecord {
    /// Where it stands.
    pub at: Offset,
    /// What it said.
    pub fingerprint: Fingerprint,
    /// The item it is about.
    pub item: NotificationId,
    /// Until when the key means this request; a post from then on is a new request.
    pub until: Timestamp,
}

impl RequestRecord {
    /// What a post or redelivery at `at`, appended at `time`, with this record's key amounts to.
    #[must_use]
    pub(crate) fn verdict(
        &self,
        at: Offset,
        time: Timestamp,
        said: Fingerprint,
    ) -> Option<PostVerdict> {
        if self.at == at {
            Some(PostVerdict::Accepted)
        } else if self.at < at && self.until <= time {
            None
        } else {
            Some(self.compare(said))
        }
    }

    /// Whether the post at `at`, appended at `time`, certainly is no new request: an earlier one has
    /// the key. Of a post before this record nothing is said: the key may have begun anew since.
    #[must_use]
    pub(crate) fn has_taken(&self, at: Offset, time: Timestamp) -> bool {
        self.at < at && time < self.until
    }

    /// Whether another request with this key is the same one.
    #[must_use]
    pub fn compare(&self, fingerprint: Fingerprint) -> PostVerdict {
        if self.fingerprint == fingerprint {
            PostVerdict::Repeated
        } else {
            PostVerdict::Conflicted
        }
    }
}
