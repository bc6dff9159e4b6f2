//! Opens records: what cannot be opened is told, and passed over only if no later release would
//! miss it.

use campanile_core::port::{ReadError, Record};
use campanile_core::{Offset, Partition, Position, Receipt, Recorded};
use campanile_proto::codec;

use crate::telemetry::Telemetry;

/// Refuses records that a later release wrote in a format of its own. Whoever finishes records must
/// not finish those: the later release would never see them.
///
/// # Errors
/// [`ReadError::Newer`].
pub(crate) fn check_format<'a>(
    partition: Partition,
    records: impl IntoIterator<Item = &'a Record>,
) -> Result<(), ReadError> {
    for record in records {
        if let Err(error @ codec::DecodeError::UnknownMajor { .. }) =
            codec::check_major(&record.body)
        {
            let place = format!("offset {} of partition {partition}", record.offset);
            return Err(ReadError::Newer { place, reason: error.to_string() });
        }
    }
    Ok(())
}

/// Opens a record; one that cannot be opened is counted, told and passed over, because the log
/// keeps it and a later version can read it again.
pub(crate) fn decode(
    record: &Record,
    position: Position,
    telemetry: &Telemetry,
) -> Option<Recorded> {
    let fact = codec::decode_fact(&record.body);
    let fact =
        fact.inspect_err(|error| report_undecodable(record.offset, error, telemetry)).ok()?;
    Some(Recorded { position, time: record.time, fact })
}

/// Opens a receipt, like [`decode`]. The fold of receipts looks at no more than whose they are, so
/// whoever reads one is the first to learn that the rest of it cannot be read.
pub(crate) fn decode_receipt(record: &Record, telemetry: &Telemetry) -> Option<Receipt> {
    let receipt = codec::decode_receipt(&record.body);
    receipt.inspect_err(|error| report_undecodable(record.offset, error, telemetry)).ok()
}

pub(super) fn report_undecodable(
    offset: Offset,
    error: &codec::DecodeError,
    telemetry: &Telemetry,
) {
    telemetry.undecodable.add(1);
    tracing::error!(%offset, %error, "record passed over");
}
