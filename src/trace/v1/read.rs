//! Reads version 1: blocks become records in their order, findings and source lines; whatever cannot be read becomes a gap
//! and is counted. Never fails: damage is an outcome.

use std::collections::{BTreeSet, VecDeque};
use std::io::Read;

use super::block::{Blocks, Header, Kind, Next};
use super::segment::Decoder;
use crate::event::{Event, ProcessId, Record, Tid};
use crate::trace::{Item, Missing};

/// Processes that are told of a gap; a file with more is not ours.
const MOST_PROCESSES: usize = 1 << 16;

/// The items of a file of version 1.
pub struct Items {
    blocks: Blocks<Box<dyn Read + Send>>,
    decoder: Decoder,
    ahead: Option<Next>,
    /// Gaps and documents, to be given before the decoder's records.
    pending: VecDeque<Item>,
    processes: BTreeSet<ProcessId>,
    process: Option<ProcessId>,
    time: u64,
    missing: Missing,
    done: bool,
}

impl Items {
    /// `source` stands at the first block, `offset` bytes into the file.
    pub fn new(source: Box<dyn Read + Send>, offset: u64) -> Self {
        Items {
            blocks: Blocks::new(source, offset),
            decoder: Decoder::default(),
            ahead: None,
            pending: VecDeque::new(),
            processes: BTreeSet::new(),
            process: None,
            time: 0,
            missing: Missing { no_end: true, ..Missing::default() },
            done: false,
        }
    }

    /// Bytes of the file that were read.
    pub fn position(&self) -> u64 {
        self.blocks.offset()
    }

    /// What is missing of what was read so far.
    pub fn missing(&self) -> &Missing {
        &self.missing
    }

    #[inline]
    pub fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.pending.pop_front() {
                return Some(item);
            }
            if let Some(record) = self.decoder.next() {
                self.note(&record);
                return Some(Item::Record(record));
            }
            if self.done {
                return None;
            }
            self.end_segment();
            let next = self.ahead.take().unwrap_or_else(|| self.blocks.read_next());
            self.take(next);
        }
    }

    #[inline]
    fn note(&mut self, record: &Record) {
        self.time = record.time;
        if self.process != Some(record.process) {
            self.process = Some(record.process);
            if self.processes.len() < MOST_PROCESSES {
                self.processes.insert(record.process);
            }
        }
    }

    fn end_segment(&mut self) {
        let unread = self.decoder.clear();
        if unread > 0 {
            self.damage(unread);
        }
    }

    fn take(&mut self, next: Next) {
        match next {
            Next::Block(header, raw) => match header.kind {
                Kind::Names | Kind::Lives | Kind::Detail => self.begin_segment(header, raw),
                Kind::Report => self.document(serde_json::from_slice(&raw).ok().map(Item::Report)),
                Kind::Source => self.document(serde_json::from_slice(&raw).ok().map(Item::Source)),
                Kind::Dropped => {
                    self.missing.dropped = self.missing.dropped.saturating_add(header.records);
                    self.gap(header.records);
                }
                Kind::End => self.missing.no_end = false,
            },
            Next::Damaged(header) => self.damaged(header),
            Next::Skipped { bytes } => {
                self.missing.skipped_bytes = self.missing.skipped_bytes.saturating_add(bytes);
                self.gap(0);
            }
            Next::Cut { from, header } => {
                self.missing.cut_at = Some(from);
                self.missing.cut_records = header.map_or(0, |header| header.records);
            }
            Next::Failed { from, error } => {
                self.missing.failed = Some((from, error.to_string()));
                self.done = true;
            }
            Next::End => self.done = true,
        }
    }

    /// The block and all that follow with the same number make one segment.
    fn begin_segment(&mut self, header: Header, raw: Vec<u8>) {
        self.decoder.add(raw, header.records);
        let mut last = header.kind;
        loop {
            match self.blocks.read_next() {
                Next::Block(next, raw) if continues(&next, &header, last) => {
                    last = next.kind;
                    self.decoder.add(raw, next.records);
                }
                Next::Damaged(next) if continues(&next, &header, last) => {
                    last = next.kind;
                    self.damaged(next);
                }
                other => {
                    self.ahead = Some(other);
                    return;
                }
            }
        }
    }

    fn damaged(&mut self, header: Header) {
        match header.kind {
            Kind::Report | Kind::Source => self.missing.documents += 1,
            _ => self.damage(header.records),
        }
    }

    fn damage(&mut self, records: u64) {
        self.missing.damaged = self.missing.damaged.saturating_add(records);
        self.gap(records);
    }

    fn document(&mut self, item: Option<Item>) {
        match item {
            Some(item) => self.pending.push_back(item),
            None => self.missing.documents += 1,
        }
    }

    /// Every process that is known may have lost something here.
    fn gap(&mut self, records: u64) {
        let mut lost = records;
        for process in &self.processes {
            let event = Event::Gap { lost: std::mem::take(&mut lost) };
            self.pending.push_back(Item::Record(Record { time: self.time, process: *process, thread: Tid(0), event }));
        }
    }
}

/// Each class has at most one block in a segment, in the order of the kinds.
fn continues(next: &Header, first: &Header, last: Kind) -> bool {
    next.segment == first.segment && matches!(next.kind, Kind::Names | Kind::Lives | Kind::Detail) && next.kind as u8 > last as u8
}
