//! What the disk does alone, in the same run.

use std::io::Write;
use std::time::{Duration, Instant};

/// About what one notification of the load takes in the log, in bytes.
const RECORD: usize = 320;
/// How long is written.
const SPAN: Duration = Duration::from_secs(1);

/// Notifications a second, if making them durable were nothing but to write and sync as many bytes
/// in messages of `batch`.
///
/// # Errors
/// [`std::io::Error`].
pub(crate) fn raw_writes(batch: usize) -> std::io::Result<f64> {
    let mut file = tempfile::tempfile()?;
    let bytes = vec![b'x'; RECORD * batch];
    let (began, mut written) = (Instant::now(), 0_u32);
    while began.elapsed() < SPAN {
        file.write_all(&bytes)?;
        file.sync_data()?;
        written += 1;
    }
    Ok(f64::from(written) * batch as f64 / began.elapsed().as_secs_f64())
}
