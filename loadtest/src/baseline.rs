//! What the disk does alone, in the same run.

use std::io::Write;
use std::time::{Duration, Instant};

/// How long is written.
const SPAN: Duration = Duration::from_secs(2);

/// Records a second, if making them durable were nothing but to write and sync as many bytes, `many`
/// records of `size` bytes at a time: as many as may be under way, so as few syncs as there can be.
///
/// # Errors
/// [`std::io::Error`].
pub(crate) fn raw_writes(many: usize, size: usize) -> std::io::Result<f64> {
    let mut file = tempfile::tempfile()?;
    let bytes = vec![b'x'; many * size];
    let (began, mut written) = (Instant::now(), 0_u32);
    while began.elapsed() < SPAN {
        file.write_all(&bytes)?;
        file.sync_data()?;
        written += 1;
    }
    Ok(f64::from(written) * many as f64 / began.elapsed().as_secs_f64())
}
