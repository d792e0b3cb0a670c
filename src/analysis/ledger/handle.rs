//! One open file as a process has it: what was written through it by whom, in records and at which layer. Other handles on
//! the same file are not known here.

use rustc_hash::FxHashMap;

use super::{HandleId, KEPT, Verdict, Write};
use crate::analysis::point::{Point, keep_last};
use crate::analysis::record::Record;
use crate::analysis::strand::StrandId;
use crate::event::{OpenMode, ProcessId, WriteLevel};

#[derive(Debug, Clone)]
pub struct Handle {
    pub process: ProcessId,
    pub fd: i32,
    pub inode: u64,
    pub path: Option<String>,
    pub(super) mode: Option<OpenMode>,
    pub(super) append: bool,
    pub opened: Option<Point>,
    /// The uppermost layer at which writes were seen: that is where the program writes.
    pub(super) level: WriteLevel,
    /// The last write of each strand at that layer: what lower layers do with the same stack is part of it.
    pub(super) upper: FxHashMap<StrandId, Point>,
    pub(super) records: FxHashMap<StrandId, Record>,
    /// Records of several writes that are complete.
    pub(super) past: Vec<Record>,
    /// The last write of each strand and place.
    pub(super) writes: Vec<Point>,
    /// Some write ended a line: records end where lines end.
    pub(super) by_line: bool,
    /// Bytes written by the program that have not reached the system.
    pub(super) pending: u64,
    /// The last write to the system: by whom, and where the program had made it.
    pub(super) system: Option<Point>,
    pub(super) last: Option<Point>,
    /// That write left the rest of a record for the next one.
    pub(super) mid_record: bool,
    /// What another handle wrote since.
    pub(super) intruder: Option<(HandleId, Point)>,
    pub(super) closed: bool,
    /// The file has gone from its path.
    pub(super) moved: bool,
}

/// At which of the two layers a write counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layer {
    /// The program's own call.
    Program,
    /// Part of such a call, or the flush of earlier ones.
    Below,
}

impl Handle {
    pub(super) fn new(process: ProcessId, fd: i32, inode: u64) -> Handle {
        Handle {
            process,
            fd,
            inode,
            path: None,
            mode: None,
            append: false,
            opened: None,
            level: WriteLevel::System,
            upper: FxHashMap::default(),
            records: FxHashMap::default(),
            past: Vec::new(),
            writes: Vec::new(),
            by_line: false,
            pending: 0,
            system: None,
            last: None,
            mid_record: false,
            intruder: None,
            closed: false,
            moved: false,
        }
    }

    /// Where the program last wrote, as opposed to flushed.
    pub fn last_write(&self) -> Option<&Point> {
        self.last.as_ref().or(self.system.as_ref())
    }

    /// Standard output and error: mixed lines there are cosmetic.
    pub fn is_standard(&self) -> bool {
        (0..=2).contains(&self.fd)
    }

    /// Writes at a position of its own, from the start of the file.
    pub(super) fn overwrites(&self) -> bool {
        self.mode == Some(OpenMode::Write) && !self.append
    }

    /// Writes where the file, or a position shared with others, ends.
    pub(super) fn shares_end(&self) -> bool {
        self.append || self.mode.is_none()
    }

    pub(super) fn level_of(&mut self, write: &Write) -> Layer {
        if write.level < self.level {
            self.level = write.level;
        }
        if write.level == self.level { Layer::Program } else { Layer::Below }
    }

    pub(super) fn program_writes(&mut self, id: HandleId, write: &Write, verdicts: &mut Vec<Verdict>) {
        let entry = &write.entry;
        let strand = entry.point.strand;
        self.by_line |= entry.ends_line;
        self.pending = self.pending.saturating_add(write.length);
        for (other, record) in &mut self.records {
            if *other != strand {
                record.intrude(&entry.point);
            }
        }
        let goes_on = self.records.get(&strand).is_some_and(|record| record.goes_on_with(entry, self.by_line));
        if goes_on && let Some(record) = self.records.get_mut(&strand) {
            let split = record.take(entry);
            let record = record.clone();
            match split {
                Some(conflict) => verdicts.push(Verdict::Split { handle: id, record, conflict, observed: true }),
                None => self.may_be_split(id, &record, verdicts),
            }
        } else {
            if let Some(finished) = self.records.insert(strand, Record::new(entry)) {
                self.keep_record(finished);
            }
        }
        self.may_split_others(id, &entry.point, verdicts);
        self.upper.insert(strand, entry.point.clone());
        self.last = Some(entry.point.clone());
        keep_last(&mut self.writes, KEPT, entry.point.clone(), |a, b| a.strand == b.strand && a.stack == b.stack);
    }

    /// The record that just grew, against earlier writes of others.
    pub(super) fn may_be_split(&self, id: HandleId, record: &Record, verdicts: &mut Vec<Verdict>) {
        let conflict = self.writes.iter().find(|write| record.can_be_split_by(write));
        verdicts.extend(conflict.map(|conflict| Verdict::Split {
            handle: id,
            record: record.clone(),
            conflict: conflict.clone(),
            observed: false,
        }));
    }

    /// This write against earlier records of others, and against their single writes.
    pub(super) fn may_split_others(&self, id: HandleId, now: &Point, verdicts: &mut Vec<Verdict>) {
        if let Some(record) = self.past.iter().find(|record| record.can_be_split_by(now)) {
            verdicts.push(Verdict::Split { handle: id, record: record.clone(), conflict: now.clone(), observed: false });
        }
        let free = |other: &&Point| other.strand != now.strand && !other.is_before(now) && !other.is_guarded(other, now);
        if let Some(other) = self.writes.iter().find(|other| free(other) && other.thread != now.thread) {
            verdicts.push(Verdict::Unordered { handle: id, first: other.clone(), second: now.clone() });
        }
    }

    pub(super) fn keep_record(&mut self, record: Record) {
        if record.writes() > 1 {
            keep_last(&mut self.past, KEPT, record, |a, b| a.is_like(b));
        }
    }

    /// Does what has now gone to the system leave the rest of a record behind?
    pub(super) fn is_mid_record(&mut self, write: &Write) -> bool {
        let known = write.length > 0;
        self.pending = if known { self.pending.saturating_sub(write.length) } else { 0 };
        self.pending > 0 && self.level != WriteLevel::System
    }

    /// A part of the strand's record had gone to the system before, and now goes the next.
    pub(super) fn continues(&self, strand: StrandId, before: Option<&Point>) -> bool {
        let Some((record, before)) = self.records.get(&strand).zip(before) else { return false };
        record.writes() > 1 && before.strand == strand && record.first.time <= before.time
    }

    pub(super) fn close(&mut self) {
        for record in std::mem::take(&mut self.records).into_values() {
            self.keep_record(record);
        }
        self.upper.clear();
        self.mid_record = false;
        self.intruder = None;
        self.closed = true;
    }
}
