//! Acknowledging a batch by ranges of sequence numbers.

use campanile_proto::v1;

/// The outcome of one message of a stream: what was taken, as few ranges as can be, and the rest.
#[derive(Debug)]
pub(crate) struct Tally {
    next: u64,
    answer: v1::PublishStreamResponse,
}

impl Tally {
    /// Starts with the notification numbered `first`.
    pub(crate) fn new(first: u64) -> Self {
        Self { next: first, answer: v1::PublishStreamResponse::default() }
    }

    /// The next notification is durable.
    pub(crate) fn accept(&mut self) {
        let sequence = self.take();
        match self.answer.accepted.last_mut() {
            Some(range) if range.to.checked_add(1) == Some(sequence) => range.to = sequence,
            _ => {
                let range = v1::SequenceRange { from: sequence, to: sequence };
                self.answer.accepted.push(range);
            }
        }
    }

    /// The next notification failed.
    pub(crate) fn fail(&mut self, failure: v1::Failure) {
        let sequence = self.take();
        self.answer.failures.push(v1::PublishFailure { sequence, failure: Some(failure) });
    }

    /// The answer.
    pub(crate) fn finish(self) -> v1::PublishStreamResponse {
        self.answer
    }

    fn take(&mut self) -> u64 {
        let sequence = self.next;
        self.next = sequence.saturating_add(1);
        sequence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(answer: &v1::PublishStreamResponse) -> Vec<(u64, u64)> {
        answer.accepted.iter().map(|range| (range.from, range.to)).collect()
    }

    #[test]
    fn neighbours_share_a_range_and_failures_part_them() {
        let mut tally = Tally::new(10);
        for fails in [false, false, true, false, true, true, false] {
            if fails {
                tally.fail(v1::Failure::default());
            } else {
                tally.accept();
            }
        }
        let answer = tally.finish();
        assert_eq!(ranges(&answer), [(10, 11), (13, 13), (16, 16)]);
        let failed: Vec<_> = answer.failures.iter().map(|failure| failure.sequence).collect();
        assert_eq!(failed, [12, 14, 15]);
    }

    #[test]
    fn a_whole_batch_is_one_range() {
        let mut tally = Tally::new(u64::MAX - 2);
        (0..3).for_each(|_| tally.accept());
        assert_eq!(ranges(&tally.finish()), [(u64::MAX - 2, u64::MAX)]);
    }
}
