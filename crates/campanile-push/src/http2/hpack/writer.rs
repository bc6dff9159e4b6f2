//! Writing the fields of requests.

use super::table::{STATIC, Table};
use super::{TABLE_SIZE, write_number};
use crate::http2::{Field, Post, Remember};

/// Where the indices of the dynamic table begin.
const DYNAMIC: usize = STATIC.len() + 1;
/// "Indexed" and the entry of [`STATIC`] (RFC 7541 section 6.1).
const METHOD_POST: u8 = 0x80 | 3;
const SCHEME_HTTPS: u8 = 0x80 | 7;

/// How a literal is written: its flags, and the bits that are left for the index of its name (RFC
/// 7541 section 6.2).
const INCREMENTAL: (u8, u32) = (0x40, 6);
const WITHOUT_INDEXING: (u8, u32) = (0x00, 4);
const NEVER_INDEXED: (u8, u32) = (0x10, 4);

/// Writes the fields of one connection's requests. All of a connection's blocks must be sent in the
/// order in which they were written.
pub(in crate::http2) struct Writer {
    table: Table<&'static str>,
    /// The smallest limit since the last block, if it changed: the reader is told of that and of the
    /// one in force (RFC 7541 section 4.2).
    smallest: Option<usize>,
}

impl Writer {
    pub(in crate::http2) fn new() -> Self {
        Self { table: Table::new(), smallest: None }
    }

    /// The reader remembers at most `size` bytes (SETTINGS_HEADER_TABLE_SIZE).
    pub(in crate::http2) fn set_limit(&mut self, size: usize) {
        let size = size.min(TABLE_SIZE);
        if size != self.table.limit() {
            self.table.set_limit(size);
            self.smallest = Some(self.smallest.map_or(size, |smallest| smallest.min(size)));
        }
    }

    /// Adds the fields of `post` to `block`.
    pub(in crate::http2) fn write(&mut self, post: &Post<'_>, block: &mut Vec<u8>) {
        if let Some(smallest) = self.smallest.take() {
            write_number(block, 0x20, 5, smallest);
            if self.table.limit() != smallest {
                write_number(block, 0x20, 5, self.table.limit());
            }
        }
        block.extend_from_slice(&[METHOD_POST, SCHEME_HTTPS]);
        self.whole(":authority", post.authority.as_bytes(), block);
        literal(NEVER_INDEXED, known(":path"), ":path", post.path.as_bytes(), block);
        for Field { name, value, remember } in &post.fields {
            match remember {
                Remember::Whole => self.whole(name, value, block),
                Remember::Name => self.name(name, value, block),
                Remember::Nothing => literal(NEVER_INDEXED, known(name), name, value, block),
            }
        }
    }

    fn whole(&mut self, name: &'static str, value: &[u8], block: &mut Vec<u8>) {
        match self.table.find(|it| it == (&name, value)) {
            Some(at) => write_number(block, 0x80, 7, DYNAMIC + at),
            None => self.add(name, value, block),
        }
    }

    fn name(&mut self, name: &'static str, value: &[u8], block: &mut Vec<u8>) {
        match self.table.find(|(it, _)| *it == name) {
            Some(at) => literal(WITHOUT_INDEXING, DYNAMIC + at, name, value, block),
            None => self.add(name, value, block),
        }
    }

    fn add(&mut self, name: &'static str, value: &[u8], block: &mut Vec<u8>) {
        literal(INCREMENTAL, known(name), name, value, block);
        self.table.add(name, value);
    }
}

/// The index of a name that everybody knows, or zero.
fn known(name: &str) -> usize {
    match name {
        ":authority" => 1,
        ":path" => 4,
        "authorization" => 23,
        "content-type" => 31,
        _ => 0,
    }
}

/// Writes a field whose name stands at `index`, or nowhere if that is zero.
fn literal((flags, bits): (u8, u32), index: usize, name: &str, value: &[u8], block: &mut Vec<u8>) {
    write_number(block, flags, bits, index);
    if index == 0 {
        string(name.as_bytes(), block);
    }
    string(value, block);
}

fn string(text: &[u8], block: &mut Vec<u8>) {
    write_number(block, 0, 7, text.len());
    block.extend_from_slice(text);
}
