//! Who wrote what through which handle: records of several writes, handles that overwrite each other, and what landed in
//! between. Verdicts come out; names and reports are made elsewhere, and paths that are checked are not its business.
//!
//! Two layers are told apart. What a program writes through one handle goes out in the order of its write calls: there a
//! record is split by another strand's call. Several handles on one file meet only where bytes reach the system: there a
//! record is split when it goes out in several parts, and a handle with a position of its own overwrites the others'.

use rustc_hash::FxHashMap;

use super::point::Point;
use super::record::{Entry, Record};
use super::strand::StrandId;
use crate::event::{ObjectId, OpenMode, ProcessId, WriteLevel};

/// An open file as one process has it, from being opened to being closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HandleId(u64);

/// One call that writes.
#[derive(Debug, Clone)]
pub struct Write {
    pub process: ProcessId,
    pub file: ObjectId,
    pub fd: i32,
    pub inode: u64,
    pub level: WriteLevel,
    pub length: u64,
    pub append: bool,
    pub entry: Entry,
}

#[derive(Debug, Clone)]
pub struct Open {
    pub process: ProcessId,
    pub file: ObjectId,
    pub fd: i32,
    pub inode: u64,
    /// Absolute; `None` for one made of a descriptor.
    pub path: Option<String>,
    pub mode: OpenMode,
    pub point: Point,
}

#[derive(Debug, Clone)]
pub struct Handle {
    pub process: ProcessId,
    pub fd: i32,
    pub inode: u64,
    pub path: Option<String>,
    mode: Option<OpenMode>,
    append: bool,
    pub opened: Option<Point>,
    /// The uppermost layer at which writes were seen: that is where the program writes.
    level: WriteLevel,
    /// The last write of each strand at that layer: what lower layers do with the same stack is part of it.
    upper: FxHashMap<StrandId, Point>,
    records: FxHashMap<StrandId, Record>,
    /// Records of several writes that are complete.
    past: Vec<Record>,
    /// The last write of each strand and place.
    writes: Vec<Point>,
    /// Some write ended a line: records end where lines end.
    by_line: bool,
    /// Bytes written by the program that have not reached the system.
    pending: u64,
    /// The last write to the system: by whom, and where the program had made it.
    system: Option<Point>,
    last: Option<Point>,
    /// That write left the rest of a record for the next one.
    mid_record: bool,
    /// What another handle wrote since.
    intruder: Option<(HandleId, Point)>,
    closed: bool,
}

/// What the ledger found.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// A record of several writes through one handle, and another strand's write in it, or that can come into it.
    Split { handle: HandleId, record: Record, conflict: Point, observed: bool },
    /// The same between two handles on one file.
    Torn { handle: HandleId, other: HandleId, before: Point, conflict: Point, after: Option<Point> },
    /// Two handles, of which at least one writes at its own position over what the other has written.
    Overwritten { handle: HandleId, other: HandleId, observed: bool },
    /// Single calls on one handle, in an order that is open.
    Unordered { handle: HandleId, first: Point, second: Point },
}

/// What stands for a file object where there is none.
const NO_FILE: ObjectId = ObjectId(0);
/// What is remembered of each: writes and records of a handle, closed handles of a file.
const KEPT: usize = 8;
/// Open handles of one file that are compared with each other.
const HANDLES: usize = 64;

#[derive(Debug, Default)]
pub struct Ledger {
    handles: FxHashMap<HandleId, Handle>,
    by_fd: FxHashMap<(ProcessId, i32), HandleId>,
    by_file: FxHashMap<(ProcessId, ObjectId), HandleId>,
    inodes: FxHashMap<u64, Vec<HandleId>>,
    next: u64,
}

impl Ledger {
    pub fn handle(&self, id: HandleId) -> Option<&Handle> {
        self.handles.get(&id)
    }

    /// A path under which the file was opened by somebody.
    pub fn path_of(&self, inode: u64) -> Option<&str> {
        self.inodes.get(&inode)?.iter().find_map(|id| self.handles.get(id)?.path.as_deref())
    }

    pub fn open(&mut self, open: Open) {
        let known = self.by_file.get(&(open.process, open.file)).copied();
        let same = |id: &HandleId| self.handles.get(id).is_some_and(|handle| !handle.closed && handle.fd == open.fd);
        let id = match known.filter(|id| open.file != NO_FILE && same(id)) {
            Some(known) => known,
            None => self.add(open.process, open.fd, open.inode),
        };
        self.name_file(open.process, open.file, id);
        if let Some(handle) = self.handles.get_mut(&id) {
            handle.mode = open.path.is_some().then_some(open.mode);
            handle.append = open.mode == OpenMode::Append;
            handle.path = open.path;
            handle.opened = Some(open.point);
        }
    }

    pub fn close(&mut self, process: ProcessId, file: ObjectId) {
        if let Some(id) = self.by_file.remove(&(process, file)) {
            self.shut(id);
        }
    }

    pub fn write(&mut self, write: Write) -> Vec<Verdict> {
        let id = self.handle_of(&write);
        let Some(handle) = self.handles.get_mut(&id) else { return Vec::new() };
        let mut verdicts = Vec::new();
        let mine = handle.level_of(&write);
        if mine == Layer::Program {
            handle.program_writes(id, &write, &mut verdicts);
        }
        if write.level == WriteLevel::System {
            self.reaches_system(id, &write, &mut verdicts);
        }
        verdicts
    }

    /// The path leads to another file from now on, or to none.
    pub fn renamed(&mut self, path: &str) {
        let gone: Vec<HandleId> =
            self.handles.iter().filter(|(_, h)| h.closed && h.path.as_deref() == Some(path)).map(|(id, _)| *id).collect();
        gone.into_iter().for_each(|id| self.drop_handle(id));
    }

    /// Records of a process are missing.
    pub fn forget_process(&mut self, process: ProcessId) {
        let gone: Vec<HandleId> =
            self.handles.iter().filter(|(_, handle)| handle.process == process).map(|(id, _)| *id).collect();
        gone.into_iter().for_each(|id| self.drop_handle(id));
        self.by_fd.retain(|key, _| key.0 != process);
        self.by_file.retain(|key, _| key.0 != process);
    }

    /// The process is over, and with it all that it had open.
    pub fn process_ends(&mut self, process: ProcessId) {
        let open: Vec<HandleId> =
            self.handles.iter().filter(|(_, handle)| handle.process == process && !handle.closed).map(|(id, _)| *id).collect();
        open.into_iter().for_each(|id| self.shut(id));
        self.by_fd.retain(|key, _| key.0 != process);
        self.by_file.retain(|key, _| key.0 != process);
    }

    /// The strand is over: it will not go on with what it has begun.
    pub fn strand_ends(&mut self, strand: StrandId) {
        for handle in self.handles.values_mut() {
            if let Some(record) = handle.records.remove(&strand) {
                handle.keep_record(record);
            }
            handle.upper.remove(&strand);
        }
    }

    /// A bare descriptor has no file object.
    fn name_file(&mut self, process: ProcessId, file: ObjectId, id: HandleId) {
        if file != NO_FILE {
            self.by_file.insert((process, file), id);
        }
    }

    fn handle_of(&mut self, write: &Write) -> HandleId {
        let key = (write.process, write.fd);
        let known = self.by_fd.get(&key).copied();
        let known = known.filter(|id| self.handles.get(id).is_some_and(|handle| handle.inode == write.inode && !handle.closed));
        let id = known.unwrap_or_else(|| self.add(write.process, write.fd, write.inode));
        self.name_file(write.process, write.file, id);
        if let Some(handle) = self.handles.get_mut(&id) {
            handle.append |= write.append;
        }
        id
    }

    fn add(&mut self, process: ProcessId, fd: i32, inode: u64) -> HandleId {
        if let Some(old) = self.by_fd.get(&(process, fd)).copied() {
            self.shut(old);
        }
        self.next += 1;
        let id = HandleId(self.next);
        self.by_fd.insert((process, fd), id);
        self.handles.insert(id, Handle::new(process, fd, inode));
        let same = self.inodes.entry(inode).or_default();
        same.push(id);
        if same.len() > HANDLES {
            let oldest = same.remove(0);
            self.handles.remove(&oldest);
        }
        id
    }

    fn shut(&mut self, id: HandleId) {
        let Some(handle) = self.handles.get_mut(&id) else { return };
        handle.close();
        let (key, inode) = ((handle.process, handle.fd), handle.inode);
        if self.by_fd.get(&key) == Some(&id) {
            self.by_fd.remove(&key);
        }
        let handles = &self.handles;
        let same = self.inodes.get(&inode).map_or(&[] as &[HandleId], Vec::as_slice);
        let closed: Vec<HandleId> =
            same.iter().copied().filter(|id| handles.get(id).is_some_and(|handle| handle.closed)).collect();
        // Only handles that have written matter once they are closed, and only the last few.
        let useless = |id: &HandleId| handles.get(id).is_none_or(|handle| handle.system.is_none());
        let excess = closed.len().saturating_sub(KEPT);
        let gone: Vec<HandleId> =
            closed.iter().enumerate().filter(|(at, id)| *at < excess || useless(id)).map(|(_, id)| *id).collect();
        gone.into_iter().for_each(|id| self.drop_handle(id));
    }

    fn drop_handle(&mut self, id: HandleId) {
        let Some(handle) = self.handles.remove(&id) else { return };
        if let Some(same) = self.inodes.get_mut(&handle.inode) {
            same.retain(|other| *other != id);
            if same.is_empty() {
                self.inodes.remove(&handle.inode);
            }
        }
    }

    /// Bytes arrive in the file: compare with what other handles on it do.
    fn reaches_system(&mut self, id: HandleId, write: &Write, verdicts: &mut Vec<Verdict>) {
        let others: Vec<HandleId> = self
            .inodes
            .get(&write.inode)
            .map(|all| all.iter().copied().filter(|other| *other != id).collect())
            .unwrap_or_default();
        let now = self.arrival(id, write);
        for other in &others {
            if let Some(handle) = self.handles.get_mut(other)
                && handle.intruder.is_none()
                && handle.shares_end()
                && handle.system.as_ref().is_some_and(|system| system.strand != now.strand)
            {
                handle.intruder = Some((id, now.clone()));
            }
        }
        let Some(handle) = self.handles.get_mut(&id) else { return };
        let before = handle.system.replace(now.clone());
        let intruder = handle.intruder.take();
        let mid_record = handle.is_mid_record(write);
        let goes_on = std::mem::replace(&mut handle.mid_record, mid_record) || handle.continues(now.strand, before.as_ref());
        let shares_end = handle.shares_end();
        if let (Some((other, conflict)), Some(before), true) = (intruder, &before, goes_on && shares_end)
            && !(before.is_before(&conflict) && conflict.is_before(&now))
        {
            verdicts.push(Verdict::Torn { handle: id, other, before: before.clone(), conflict, after: Some(now.clone()) });
        }
        for other in others {
            verdicts.extend(self.compare(id, other, &now, before.as_ref()));
        }
    }

    /// Where the program made the write whose bytes arrive now: a flush tells less than the write before it.
    fn arrival(&self, id: HandleId, write: &Write) -> Point {
        let mut now = write.entry.point.clone();
        if let Some(upper) = self.handles.get(&id).and_then(|handle| handle.upper.get(&now.strand)) {
            now.stack = upper.stack;
        }
        now
    }

    fn compare(&self, id: HandleId, other_id: HandleId, now: &Point, before: Option<&Point>) -> Option<Verdict> {
        let (handle, other) = (self.handles.get(&id)?, self.handles.get(&other_id)?);
        let theirs = other.system.as_ref().filter(|theirs| theirs.strand != now.strand)?;
        if (handle.mid_record || handle.continues(now.strand, before)) && other.shares_end() && handle.shares_end() {
            let apart = theirs.is_before(now) || theirs.is_guarded(theirs, now);
            // Of one process, what is opened and closed for each record is not open when others write.
            let open = !other.closed || handle.process != other.process;
            return (!apart && open).then(|| Verdict::Torn {
                handle: id,
                other: other_id,
                before: now.clone(),
                conflict: theirs.clone(),
                after: None,
            });
        }
        let (mine_opened, their_opened) = (handle.opened.as_ref()?, other.opened.as_ref()?);
        let own_position = handle.overwrites() || other.overwrites();
        let same_path = handle.path.is_some() && handle.path == other.path;
        if !own_position || !same_path {
            return None;
        }
        let overlap = mine_opened.time < theirs.time && their_opened.time < now.time;
        let meant = before.unwrap_or(mine_opened).is_before(their_opened) && theirs.is_before(now);
        if overlap {
            return (!meant).then_some(Verdict::Overwritten { handle: id, other: other_id, observed: true });
        }
        let ordered = theirs.is_before(mine_opened);
        let guarded = their_opened.is_guarded(theirs, mine_opened);
        let one_loop = their_opened.thread == now.thread && !their_opened.gave_way(theirs) && !mine_opened.gave_way(now);
        (!ordered && !guarded && !one_loop).then_some(Verdict::Overwritten { handle: id, other: other_id, observed: false })
    }
}

/// At which of the two layers a write counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layer {
    /// The program's own call.
    Program,
    /// Part of such a call, or the flush of earlier ones.
    Below,
}

impl Handle {
    fn new(process: ProcessId, fd: i32, inode: u64) -> Handle {
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
    fn overwrites(&self) -> bool {
        self.mode == Some(OpenMode::Write) && !self.append
    }

    /// Writes where the file, or a position shared with others, ends.
    fn shares_end(&self) -> bool {
        self.append || self.mode.is_none()
    }

    fn level_of(&mut self, write: &Write) -> Layer {
        if write.level < self.level {
            self.level = write.level;
        }
        if write.level == self.level { Layer::Program } else { Layer::Below }
    }

    fn program_writes(&mut self, id: HandleId, write: &Write, verdicts: &mut Vec<Verdict>) {
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
        keep(&mut self.writes, entry.point.clone(), |a, b| a.strand == b.strand && a.stack == b.stack);
    }

    /// The record that just grew, against earlier writes of others.
    fn may_be_split(&self, id: HandleId, record: &Record, verdicts: &mut Vec<Verdict>) {
        let conflict = self.writes.iter().find(|write| record.can_be_split_by(write));
        verdicts.extend(conflict.map(|conflict| Verdict::Split {
            handle: id,
            record: record.clone(),
            conflict: conflict.clone(),
            observed: false,
        }));
    }

    /// This write against earlier records of others, and against their single writes.
    fn may_split_others(&self, id: HandleId, now: &Point, verdicts: &mut Vec<Verdict>) {
        if let Some(record) = self.past.iter().find(|record| record.can_be_split_by(now)) {
            verdicts.push(Verdict::Split { handle: id, record: record.clone(), conflict: now.clone(), observed: false });
        }
        let free = |other: &&Point| other.strand != now.strand && !other.is_before(now) && !other.is_guarded(other, now);
        if let Some(other) = self.writes.iter().find(|other| free(other) && other.thread != now.thread) {
            verdicts.push(Verdict::Unordered { handle: id, first: other.clone(), second: now.clone() });
        }
    }

    fn keep_record(&mut self, record: Record) {
        if record.writes() > 1 {
            keep(&mut self.past, record, |a, b| a.is_like(b));
        }
    }

    /// Does what has now gone to the system leave the rest of a record behind?
    fn is_mid_record(&mut self, write: &Write) -> bool {
        let known = write.length > 0;
        self.pending = if known { self.pending.saturating_sub(write.length) } else { 0 };
        self.pending > 0 && self.level != WriteLevel::System
    }

    /// A part of the strand's record had gone to the system before, and now goes the next.
    fn continues(&self, strand: StrandId, before: Option<&Point>) -> bool {
        let Some((record, before)) = self.records.get(&strand).zip(before) else { return false };
        record.writes() > 1 && before.strand == strand && record.first.time <= before.time
    }

    fn close(&mut self) {
        for record in std::mem::take(&mut self.records).into_values() {
            self.keep_record(record);
        }
        self.upper.clear();
        self.mid_record = false;
        self.intruder = None;
        self.closed = true;
    }
}

/// The last of its kind is kept, of few kinds.
fn keep<T>(list: &mut Vec<T>, new: T, same: impl Fn(&T, &T) -> bool) {
    if let Some(old) = list.iter_mut().find(|old| same(old, &new)) {
        *old = new;
        return;
    }
    if list.len() >= KEPT {
        list.remove(0);
    }
    list.push(new);
}
