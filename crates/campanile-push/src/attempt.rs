//! What every platform's attempts have in common: outcomes without an answer.

use campanile_core::Outcome;

use crate::pool::Lost;

/// The status of what was never sent.
pub(crate) const UNSENT: u16 = 0;

/// The outcome of a push that cannot be sent, and never will be.
pub(crate) fn unsendable(reason: impl ToString) -> Outcome {
    Outcome::Rejected { status: UNSENT, reason: reason.to_string() }
}

impl From<Lost> for Outcome {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Unprocessed(reason) => Self::Unprocessed { reason },
            Lost::Indefinite(reason) => Self::Indefinite { reason },
        }
    }
}
