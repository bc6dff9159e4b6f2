//! The bytes of a segment: its header, and frames. See [`crate::log`] for the picture.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use campanile_core::port::{NewRecord, Record};
use campanile_core::{LogIdentity, Offset, Timestamp, UserRef};

/// Bytes of a frame before its payload.
pub(crate) const FRAME_HEADER: usize = 52;
/// Bytes of a frame's table per record: length and user.
pub(crate) const RECORD_ENTRY: usize = 20;
/// A frame is closed once its payload has this many bytes, so that reading one record never
/// verifies much more.
pub(crate) const FRAME_TARGET: usize = 64 << 10;
/// The longest payload: one record short of the target, and the largest record.
pub(crate) const FRAME_LONGEST: usize = FRAME_TARGET + NewRecord::LARGEST + 2 * RECORD_ENTRY;

/// What a frame starts with.
pub(crate) const FRAME_MAGIC: &[u8; 4] = b"CFRM";
const SEGMENT_MAGIC: &[u8; 8] = b"CAMPSEG1";

/// Mixed into every checksum: bytes of another log, or bytes that a producer made to look like a
/// frame, do not pass as ours.
#[derive(Clone, Copy)]
pub(crate) struct Seed(u32);

impl Seed {
    pub(crate) fn of(identity: &LogIdentity) -> Self {
        let seed = crc32c::crc32c(&identity.id);
        Self(crc32c::crc32c_append(seed, &identity.generation.0.to_le_bytes()))
    }

    pub(crate) fn checksum(self, bytes: &[u8]) -> u32 {
        crc32c::crc32c_append(self.0, bytes)
    }
}

/// How far a lane has come: what its next record gets, and the time of its last one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) next: u64,
    pub(crate) time: u64,
}

/// The header of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// Its place among the segments.
    pub(crate) sequence: u64,
    /// The number of the first commit in it.
    pub(crate) first_commit: u64,
    /// When it was begun, in milliseconds of the Unix epoch.
    pub(crate) created: u64,
    /// Where every lane stands before it.
    pub(crate) heads: Vec<Head>,
}

impl SegmentHeader {
    /// The length of the header of a log with `partitions`.
    pub(crate) fn length(partitions: u16) -> usize {
        56 + 32 * usize::from(partitions) + 4
    }

    pub(crate) fn encode(&self, identity: &LogIdentity) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::length(identity.partitions));
        bytes.put_slice(SEGMENT_MAGIC);
        bytes.put_slice(&identity.id);
        bytes.put_u32_le(identity.generation.0);
        bytes.put_u16_le(identity.partitions);
        bytes.put_u16_le(0);
        bytes.put_u64_le(self.sequence);
        bytes.put_u64_le(self.first_commit);
        bytes.put_u64_le(self.created);
        for head in &self.heads {
            bytes.put_u64_le(head.next);
            bytes.put_u64_le(head.time);
        }
        let checksum = Seed::of(identity).checksum(&bytes);
        bytes.put_u32_le(checksum);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8], identity: &LogIdentity) -> Result<Self, &'static str> {
        let (mut rest, mut stored) =
            bytes.split_at_checked(bytes.len().saturating_sub(4)).ok_or("cut off")?;
        if rest.get(..8) != Some(SEGMENT_MAGIC) {
            return Err("not a segment");
        }
        if rest.get(8..24) != Some(&identity.id) {
            return Err("belongs to another log");
        }
        if stored.try_get_u32_le().ok() != Some(Seed::of(identity).checksum(rest)) {
            return Err("the header's checksum is wrong");
        }
        rest.advance(24);
        Self::fields(rest).ok_or("cut off")
    }

    fn fields(mut rest: &[u8]) -> Option<Self> {
        rest.try_get_u32_le().ok()?;
        let lanes = 2 * usize::from(rest.try_get_u16_le().ok()?);
        rest.try_get_u16_le().ok()?;
        let sequence = rest.try_get_u64_le().ok()?;
        let first_commit = rest.try_get_u64_le().ok()?;
        let created = rest.try_get_u64_le().ok()?;
        let mut head =
            || Some(Head { next: rest.try_get_u64_le().ok()?, time: rest.try_get_u64_le().ok()? });
        let heads = (0..lanes).map(|_| head()).collect::<Option<_>>()?;
        Some(Self { sequence, first_commit, created, heads })
    }
}

/// The header of a frame: consecutive records of one lane, appended in one commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    /// Bytes of payload.
    pub(crate) length: u32,
    /// Records; 0 in a mark, which says that everything before it was synced.
    pub(crate) count: u32,
    /// The number of its commit.
    pub(crate) commit: u64,
    /// Its place in the commit.
    pub(crate) ordinal: u32,
    /// How many frames the commit has.
    pub(crate) total: u32,
    /// The offset of the first record.
    pub(crate) base: u64,
    /// When the records were appended, in milliseconds of the Unix epoch.
    pub(crate) time: u64,
    /// The partition.
    pub(crate) partition: u16,
    /// The stream, by its place in `Stream::ALL`.
    pub(crate) stream: u8,
}

impl FrameHeader {
    /// Writes the header, over space left for it, once the payload behind it is complete.
    pub(crate) fn seal(&self, frame: &mut [u8], seed: Seed) {
        let mut checked = Vec::with_capacity(FRAME_HEADER - 8);
        checked.put_u32_le(self.length);
        checked.put_u32_le(self.count);
        checked.put_u64_le(self.commit);
        checked.put_u32_le(self.ordinal);
        checked.put_u32_le(self.total);
        checked.put_u64_le(self.base);
        checked.put_u64_le(self.time);
        checked.put_u16_le(self.partition);
        checked.put_u8(self.stream);
        checked.put_u8(0);
        let Some((mut header, payload)) = frame.split_at_mut_checked(FRAME_HEADER) else { return };
        let checksum = crc32c::crc32c_append(seed.checksum(&checked), payload);
        header.put_slice(FRAME_MAGIC);
        header.put_u32_le(checksum);
        header.put_slice(&checked);
    }

    /// Reads a header without checking anything but its shape: enough to know how much to read.
    pub(crate) fn peek(bytes: &[u8]) -> Result<Self, &'static str> {
        let mut rest = bytes.strip_prefix(FRAME_MAGIC).ok_or("no frame starts here")?;
        let header = Self::fields(&mut rest).ok_or("cut off")?;
        if header.length as usize > FRAME_LONGEST {
            return Err("the frame's length is impossible");
        }
        Ok(header)
    }

    fn fields(rest: &mut &[u8]) -> Option<Self> {
        rest.try_get_u32_le().ok()?;
        Some(Self {
            length: rest.try_get_u32_le().ok()?,
            count: rest.try_get_u32_le().ok()?,
            commit: rest.try_get_u64_le().ok()?,
            ordinal: rest.try_get_u32_le().ok()?,
            total: rest.try_get_u32_le().ok()?,
            base: rest.try_get_u64_le().ok()?,
            time: rest.try_get_u64_le().ok()?,
            partition: rest.try_get_u16_le().ok()?,
            stream: rest.try_get_u8().ok()?,
        })
    }

    /// Reads and verifies a whole frame.
    pub(crate) fn decode(frame: &[u8], seed: Seed) -> Result<Self, &'static str> {
        let header = Self::peek(frame)?;
        let stored = frame.get(4..8).and_then(|mut bytes| bytes.try_get_u32_le().ok());
        let end = FRAME_HEADER + header.length as usize;
        let checked = frame.get(8..end).ok_or("cut off")?;
        if stored != Some(seed.checksum(checked)) {
            return Err("the frame's checksum is wrong");
        }
        Ok(header)
    }
}

/// Appends the payload of a frame: a table of lengths and users, then the bodies.
pub(crate) fn put_payload(buffer: &mut BytesMut, records: &[Record]) {
    for record in records {
        buffer.put_u32_le(u32::try_from(record.body.len()).unwrap_or(u32::MAX));
        buffer.put_slice(record.user.as_bytes());
    }
    for record in records {
        buffer.put_slice(&record.body);
    }
}

/// The records of a verified frame. Bodies share the frame's memory.
pub(crate) fn records(header: &FrameHeader, frame: &Bytes) -> Result<Vec<Record>, &'static str> {
    let cut = "the frame's table does not match its payload";
    let count = header.count as usize;
    let table = count.checked_mul(RECORD_ENTRY).ok_or(cut)?;
    let mut entries =
        frame.get(FRAME_HEADER..).and_then(|payload| payload.get(..table)).ok_or(cut)?;
    let mut at = FRAME_HEADER + table;
    let mut found = Vec::with_capacity(count);
    for index in 0..u64::from(header.count) {
        let length = entries.try_get_u32_le().map_err(|_| cut)? as usize;
        let mut user = [0; 16];
        entries.try_copy_to_slice(&mut user).map_err(|_| cut)?;
        let end = at.checked_add(length).filter(|end| *end <= frame.len()).ok_or(cut)?;
        found.push(Record {
            offset: Offset(header.base.saturating_add(index)),
            time: Timestamp::from_millis(header.time),
            user: UserRef::from_bytes(user),
            body: frame.slice(at..end),
        });
        at = end;
    }
    if at == frame.len() { Ok(found) } else { Err(cut) }
}
