//! Encodes one commit: the records of many appends, lane by lane, in one run of frames.

use bytes::BytesMut;
use campanile_core::port::Record;
use campanile_core::{LogIdentity, Offset, Partition, Position, Timestamp};

use super::format::{
    FRAME_HEADER, FRAME_TARGET, FrameHeader, Head, RECORD_ENTRY, Seed, put_payload,
};
use super::index::Entry;
use super::queue::Job;

/// A commit being made. Kept between commits for its memory.
pub(crate) struct Commit {
    identity: LogIdentity,
    /// The records of each lane.
    pub(crate) lanes: Vec<Vec<Record>>,
    /// The lanes that have records, in order of their first one.
    pub(crate) touched: Vec<usize>,
    /// The frames, in the order of `bytes`, by where they start there.
    pub(crate) frames: Vec<(usize, Entry)>,
    /// What is written.
    pub(crate) bytes: BytesMut,
}

impl Commit {
    pub(crate) fn new(identity: LogIdentity) -> Self {
        let lanes = vec![Vec::new(); 2 * usize::from(identity.partitions)];
        let (touched, frames) = (Vec::new(), Vec::new());
        Self { identity, lanes, touched, frames, bytes: BytesMut::new() }
    }

    pub(crate) fn clear(&mut self) {
        for lane in self.touched.drain(..) {
            self.lanes.get_mut(lane).into_iter().for_each(Vec::clear);
        }
        self.frames.clear();
        self.bytes.clear();
    }

    /// Takes the records of `job`, appended at `now`, and answers the positions they get.
    pub(crate) fn add(&mut self, job: &mut Job, heads: &[Head], now: u64) -> Vec<Position> {
        let taken = std::mem::take(&mut job.records).into_iter();
        let position = |waiting: super::queue::Waiting| {
            let head = heads.get(waiting.lane)?;
            let lane = self.lanes.get_mut(waiting.lane)?;
            if lane.is_empty() {
                self.touched.push(waiting.lane);
            }
            let offset = Offset(head.next + lane.len() as u64);
            let time = Timestamp::from_millis(head.time.max(now));
            lane.push(Record { offset, time, user: waiting.user, body: waiting.body });
            let (_, partition) = lane_name(waiting.lane, self.identity.partitions);
            Some(Position { generation: self.identity.generation, partition, offset })
        };
        taken.filter_map(position).collect()
    }

    /// Encodes everything taken as the commit `number`.
    pub(crate) fn encode(&mut self, number: u64) {
        let mut headers = Vec::new();
        for lane in &self.touched {
            let mut records = self.lanes.get(*lane).map(Vec::as_slice).unwrap_or_default();
            while !records.is_empty() {
                let (frame, rest) = records.split_at(frame_records(records));
                records = rest;
                let start = self.bytes.len();
                self.bytes.resize(start + FRAME_HEADER, 0);
                put_payload(&mut self.bytes, frame);
                let first = frame.first();
                let (stream, partition) = lane_name(*lane, self.identity.partitions);
                let header = FrameHeader {
                    length: u32_of(self.bytes.len() - start - FRAME_HEADER),
                    count: u32_of(frame.len()),
                    commit: number,
                    ordinal: u32_of(headers.len()),
                    total: 0,
                    base: first.map_or(0, |record| record.offset.0),
                    time: first.map_or(0, |record| record.time.as_millis()),
                    partition: partition.0,
                    stream,
                };
                headers.push((*lane, start, header));
            }
        }
        self.seal(headers);
    }

    /// Encodes a commit without records, which says that everything before it was synced.
    pub(crate) fn encode_mark(&mut self, number: u64, head: Head) {
        self.clear();
        self.bytes.resize(FRAME_HEADER, 0);
        let header = FrameHeader {
            length: 0,
            count: 0,
            commit: number,
            ordinal: 0,
            total: 0,
            base: head.next,
            time: head.time,
            partition: 0,
            stream: 0,
        };
        self.seal(vec![(0, 0, header)]);
        self.frames.clear();
    }

    fn seal(&mut self, headers: Vec<(usize, usize, FrameHeader)>) {
        let (seed, total) = (Seed::of(&self.identity), u32_of(headers.len()));
        for (lane, start, header) in headers {
            let header = FrameHeader { total, ..header };
            let length = FRAME_HEADER + header.length as usize;
            if let Some(frame) = self.bytes.get_mut(start..start + length) {
                header.seal(frame, seed);
            }
            self.frames.push((lane, Entry::of(&header, start as u64, length)));
        }
    }
}

/// How many records the next frame takes: enough to reach the target.
fn frame_records(records: &[Record]) -> usize {
    let mut bytes = 0;
    let reached = records.iter().position(|record| {
        bytes += RECORD_ENTRY + record.body.len();
        bytes >= FRAME_TARGET
    });
    reached.map_or(records.len(), |last| last + 1)
}

fn lane_name(lane: usize, partitions: u16) -> (u8, Partition) {
    let partitions = usize::from(partitions.max(1));
    let partition = u16::try_from(lane % partitions).unwrap_or(u16::MAX);
    (u8::try_from(lane / partitions).unwrap_or(u8::MAX), Partition(partition))
}

/// Lengths here are far below the limit: a commit has a few megabytes.
fn u32_of(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
