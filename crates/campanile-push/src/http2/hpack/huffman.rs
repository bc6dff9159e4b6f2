//! The Huffman code for strings (RFC 7541 appendix B), read only: what is sent are ids and tokens,
//! which it makes a third shorter for more CPU time on both sides.
//!
//! The code is canonical (section 5.2): codes of a length follow one another in the order of their
//! symbols, and shorter ones come first. So the lengths say everything.

use std::sync::LazyLock;

use super::Malformed;

/// The length of each symbol's code in bits. The last is the end of string, which is never sent.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7,
    7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21,
    23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24,
    21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

/// Codes of at most so many bits are looked up, longer ones searched. All that is in ids, dates
/// and words is short.
const QUICK: u32 = 8;

static CODE: LazyLock<Code> = LazyLock::new(Code::new);

struct Code {
    /// By the next eight bits: the symbol and the length of its code; a length of zero if it is
    /// longer.
    quick: Vec<(u8, u32)>,
    lengths: Vec<Length>,
    /// All symbols in the order of their codes.
    symbols: Vec<u8>,
}

/// The codes of one length.
struct Length {
    bits: u32,
    /// The first of them.
    first: u32,
    /// Beyond the last of them, at the left of 32 bits.
    end: u64,
    /// Where their symbols begin.
    at: usize,
}

impl Code {
    fn new() -> Self {
        let (mut lengths, mut symbols) = (Vec::new(), Vec::new());
        let mut next = 0;
        for bits in 1..=30 {
            next <<= 1;
            let (first, at) = (next, symbols.len());
            // Without the end of string: a text that holds it is malformed.
            let all = (0..=u8::MAX).zip(LENGTHS);
            let of_length = all.filter(|(_, length)| u32::from(*length) == bits);
            for (symbol, _) in of_length {
                symbols.push(symbol);
                next += 1;
            }
            lengths.push(Length { bits, first, end: u64::from(next) << (32 - bits), at });
        }
        let mut code = Self { quick: Vec::new(), lengths, symbols };
        let quick = (0..1 << QUICK).map(|next: u32| code.search(next << (32 - QUICK), QUICK));
        code.quick = quick.map(|found| found.unwrap_or_default()).collect();
        code
    }

    /// The symbol whose code `next` begins with, and the bits of that code.
    fn symbol(&self, next: u32) -> Option<(u8, u32)> {
        let quick = usize::try_from(next >> (32 - QUICK)).ok().and_then(|at| self.quick.get(at));
        match quick {
            Some(found @ (_, 1..)) => Some(*found),
            _ => self.search(next, 30),
        }
    }

    fn search(&self, next: u32, most: u32) -> Option<(u8, u32)> {
        let length = self.lengths.iter().find(|length| u64::from(next) < length.end)?;
        let number = (next >> (32 - length.bits)).checked_sub(length.first)?;
        let symbol = self.symbols.get(length.at + usize::try_from(number).ok()?)?;
        (length.bits <= most).then_some((*symbol, length.bits))
    }
}

/// Reads all of `input`, and adds what it says to `text`.
///
/// # Errors
/// [`Malformed`] if it holds the end of string, or ends with anything but fewer than eight ones.
pub(super) fn read(input: &[u8], text: &mut Vec<u8>) -> Result<(), Malformed> {
    let code = &*CODE;
    let mut bytes = input.iter();
    // The next bits, at the left, and how many they are.
    let (mut held, mut count) = (0_u64, 0_u32);
    loop {
        while count <= 56
            && let Some(byte) = bytes.next()
        {
            held |= u64::from(*byte) << (56 - count);
            count += 8;
        }
        let next = u32::try_from(held >> 32).unwrap_or(u32::MAX);
        match code.symbol(next) {
            Some((symbol, bits)) if bits <= count => {
                text.push(symbol);
                held <<= bits;
                count -= bits;
            }
            _ if count < 8 && held | (u64::MAX >> count) == u64::MAX => return Ok(()),
            _ => return Err(Malformed("a string that is no Huffman code")),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]

    use super::*;

    fn text(input: &[u8]) -> Result<String, Malformed> {
        let mut text = Vec::new();
        read(input, &mut text)?;
        Ok(String::from_utf8(text).unwrap())
    }

    /// RFC 7541 appendix C.4.1, C.6.1 and C.6.3.
    #[test]
    fn the_examples_of_the_standard_are_read() {
        let host = b"\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff";
        assert_eq!(text(host).unwrap(), "www.example.com");
        let date = b"\xd0\x7a\xbe\x94\x10\x54\xd4\x44\xa8\x20\x05\x95\x04\x0b\x81\x66\xe0\x82\xa6\x2d\x1b\xff";
        assert_eq!(text(date).unwrap(), "Mon, 21 Oct 2013 20:13:21 GMT");
        assert_eq!(text(b"\x9b\xd9\xab").unwrap(), "gzip");
        assert_eq!(text(b"").unwrap(), "");
    }

    /// Every code, the longest too: written by hand from the lengths, read back.
    #[test]
    fn every_symbol_is_read() {
        for (at, symbol) in CODE.symbols.iter().enumerate() {
            let length = CODE.lengths.iter().rfind(|length| length.at <= at).unwrap();
            let number = u64::from(length.first) + u64::try_from(at - length.at).unwrap();
            let bits = (number << (64 - length.bits)) | (u64::MAX >> length.bits);
            let bytes = usize::try_from(length.bits.div_ceil(8)).unwrap();
            let mut text = Vec::new();
            read(bits.to_be_bytes().get(..bytes).unwrap(), &mut text).unwrap();
            assert_eq!(text, [*symbol]);
        }
    }

    #[test]
    fn a_string_that_ends_wrongly_is_malformed() {
        // Eight ones of padding, the end of string, a zero as padding.
        for wrong in [b"\xff".as_slice(), b"\xff\xff\xff\xff", b"\x00"] {
            assert!(text(wrong).is_err(), "{wrong:?}");
        }
    }
}
