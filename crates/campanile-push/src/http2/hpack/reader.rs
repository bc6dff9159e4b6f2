//! Reading the fields of responses.

use super::table::{STATIC, Table};
use super::{Malformed, TABLE_SIZE, huffman, read_number};

/// The longest list of fields, in all their names and values. Few bytes can say much: an index
/// stands for a whole field.
const LONGEST_LIST: usize = 64 * 1024;

/// Reads the fields of one connection's responses. It must read every block there is, in order,
/// also of responses that nobody waits for any more.
pub(in crate::http2) struct Reader {
    table: Table<Box<[u8]>>,
    // Kept, so that reading costs no allocation.
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Reader {
    pub(in crate::http2) fn new() -> Self {
        Self { table: Table::new(), name: Vec::new(), value: Vec::new() }
    }

    /// Reads a whole block, and hands each field to `each`: name, value.
    ///
    /// # Errors
    /// [`Malformed`] if it is no block, or says too much.
    pub(in crate::http2) fn read(
        &mut self,
        mut block: &[u8],
        mut each: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), Malformed> {
        let mut room = LONGEST_LIST;
        let mut each = |name: &[u8], value: &[u8]| {
            const TOO_LONG: Malformed = Malformed("a list of fields too long");
            room = room.checked_sub(name.len() + value.len()).ok_or(TOO_LONG)?;
            each(name, value);
            Ok(())
        };
        while let Some(first) = block.first() {
            match first {
                0x80.. => {
                    let index = read_number(&mut block, 7)?;
                    let (name, value) = self.entry(index)?;
                    each(name, value)?;
                }
                0x40.. => {
                    self.literal(&mut block, 6)?;
                    each(&self.name, &self.value)?;
                    self.table.add(self.name.as_slice().into(), &self.value);
                }
                0x20.. => match read_number(&mut block, 5)? {
                    limit @ 0..=TABLE_SIZE => self.table.set_limit(limit),
                    _ => return Err(Malformed("a table larger than allowed")),
                },
                _ => {
                    self.literal(&mut block, 4)?;
                    each(&self.name, &self.value)?;
                }
            }
        }
        Ok(())
    }

    /// Takes a field with a prefix of `bits` bits for the index of its name.
    fn literal(&mut self, block: &mut &[u8], bits: u32) -> Result<(), Malformed> {
        let mut name = std::mem::take(&mut self.name);
        name.clear();
        match read_number(block, bits)? {
            0 => string(block, &mut name)?,
            index => name.extend_from_slice(self.entry(index)?.0),
        }
        self.name = name;
        self.value.clear();
        string(block, &mut self.value)
    }

    fn entry(&self, index: usize) -> Result<(&[u8], &[u8]), Malformed> {
        const WRONG: Malformed = Malformed("an index that refers to nothing");
        let at = index.checked_sub(1).ok_or(WRONG)?;
        if let Some((name, value)) = STATIC.get(at) {
            return Ok((name.as_bytes(), value.as_bytes()));
        }
        let (name, value) = self.table.get(at - STATIC.len()).ok_or(WRONG)?;
        Ok((name, value))
    }
}

/// Takes a string (RFC 7541 section 5.2) from the front of `block`.
fn string(block: &mut &[u8], text: &mut Vec<u8>) -> Result<(), Malformed> {
    let is_code = block.first().is_some_and(|first| first & 0x80 != 0);
    let length = read_number(block, 7)?;
    let taken = block.split_off(..length).ok_or(Malformed("a string that does not end"))?;
    match is_code {
        true => huffman::read(taken, text),
        false => {
            text.extend_from_slice(taken);
            Ok(())
        }
    }
}
