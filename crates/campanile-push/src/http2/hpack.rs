//! HPACK, how HTTP/2 writes fields (RFC 7541).

mod huffman;
mod reader;
mod table;
mod writer;

pub(super) use reader::Reader;
pub(super) use writer::Writer;

/// The size of a dynamic table in bytes that both sides begin with (RFC 9113 section 6.5.2); ours
/// are never larger.
const TABLE_SIZE: usize = 4096;

/// A block of fields that nobody can read; the connection it came over is of no more use (RFC 7541
/// section 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Malformed(pub(super) &'static str);

/// Writes `value` with a prefix of `bits` bits, whose octet begins with `flags` (RFC 7541 section
/// 5.1).
fn write_number(block: &mut Vec<u8>, flags: u8, bits: u32, value: usize) {
    let most = (1_usize << bits) - 1;
    let Some(mut rest) = value.checked_sub(most) else {
        block.push(flags | low(value));
        return;
    };
    block.push(flags | low(most));
    while rest >= 0x80 {
        block.push(0x80 | low(rest & 0x7f));
        rest >>= 7;
    }
    block.push(low(rest));
}

fn low(value: usize) -> u8 {
    u8::try_from(value & 0xff).unwrap_or_default()
}

/// Takes a number with a prefix of `bits` bits from the front of `block`.
fn read_number(block: &mut &[u8], bits: u32) -> Result<usize, Malformed> {
    const WRONG: Malformed = Malformed("a number that does not end");
    let most = (1_usize << bits) - 1;
    let mut value = usize::from(*block.split_off_first().ok_or(WRONG)?) & most;
    if value < most {
        return Ok(value);
    }
    // More than four octets are more than any length or index there is.
    for shift in [0, 7, 14, 21] {
        let octet = usize::from(*block.split_off_first().ok_or(WRONG)?);
        value += (octet & 0x7f) << shift;
        if octet & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(WRONG)
}

#[cfg(test)]
mod tests;
