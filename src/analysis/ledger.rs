//! Who wrote what through which handle: records of several writes, handles that overwrite each other, and what landed in
//! between. Verdicts come out; names and reports are made elsewhere, and paths that are checked are not its business.
//!
//! Two layers are told apart. What a program writes through one handle goes out in the order of its write calls: there a
//! record is split by another strand's call. Several handles on one file meet only where bytes reach the system: there a
//! record is split when it goes out in several parts, and a handle with a position of its own overwrites the others'.

mod handle;

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

pub use self::handle::Handle;
use self::handle::Layer;
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
    /// Handles in the order in which they were closed; some may be gone.
    closed: VecDeque<HandleId>,
    /// Closed handles on files that were written under this path and have another name by now, or none: the last of each
    /// strand. Whoever opens the path could have done so while it was theirs.
    moved: FxHashMap<String, Vec<HandleId>>,
    next: u64,
}

/// Closed handles that are remembered.
const CLOSED: usize = 4096;
/// Paths whose files have moved that are remembered.
const MOVED: usize = 1024;

impl Ledger {
    pub fn handle(&self, id: HandleId) -> Option<&Handle> {
        self.handles.get(&id)
    }

    /// A path under which the file was opened by somebody.
    pub fn path_of(&self, inode: u64) -> Option<&str> {
        self.inodes.get(&inode)?.iter().find_map(|id| self.handles.get(id)?.path.as_deref())
    }

    /// A file that somebody opened unseen.
    pub fn find(&mut self, process: ProcessId, file: ObjectId, (fd, inode): (i32, u64), path: String) {
        let id = self.opened(process, file, (fd, inode));
        if let Some(handle) = self.handles.get_mut(&id) {
            handle.path = Some(path);
        }
    }

    fn opened(&mut self, process: ProcessId, file: ObjectId, (fd, inode): (i32, u64)) -> HandleId {
        let known = self.by_file.get(&(process, file)).copied();
        let same = |id: &HandleId| self.handles.get(id).is_some_and(|handle| !handle.closed && handle.fd == fd);
        let id = match known.filter(|id| file != NO_FILE && same(id)) {
            Some(known) => known,
            None => self.add(process, fd, inode),
        };
        self.name_file(process, file, id);
        id
    }

    pub fn open(&mut self, open: Open) {
        let id = self.opened(open.process, open.file, (open.fd, open.inode));
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
        let left = |handle: &Handle| handle.closed && !handle.moved && handle.path.as_deref() == Some(path);
        let gone: Vec<HandleId> = self.handles.iter().filter(|(_, handle)| left(handle)).map(|(id, _)| *id).collect();
        gone.into_iter().for_each(|id| self.moves(id, path));
    }

    fn moves(&mut self, id: HandleId, path: &str) {
        let Some(handle) = self.handles.get_mut(&id).filter(|handle| handle.overwrites()) else { return self.drop_handle(id) };
        handle.moved = true;
        let (inode, strand) = (handle.inode, handle.system.as_ref().map(|system| system.strand));
        if let Some(same) = self.inodes.get_mut(&inode) {
            same.retain(|other| *other != id);
        }
        if self.moved.len() >= MOVED && !self.moved.contains_key(path) {
            let forgotten: Vec<HandleId> = self.moved.drain().flat_map(|(_, ids)| ids).collect();
            forgotten.into_iter().for_each(|id| self.drop_handle(id));
        }
        let ids = self.moved.entry(path.to_owned()).or_default();
        let handles = &self.handles;
        let of = |id: &HandleId| handles.get(id).and_then(|handle| handle.system.as_ref()).map(|system| system.strand);
        let replaced = ids.iter().position(|other| of(other) == strand).or((ids.len() >= KEPT).then_some(0));
        let gone = replaced.map(|at| ids.remove(at));
        ids.push(id);
        if let Some(gone) = gone {
            self.handles.remove(&gone);
        }
    }

    /// Records of a process are missing.
    pub fn forget_process(&mut self, process: ProcessId) {
        let closed: Vec<HandleId> =
            self.handles.iter().filter(|(_, handle)| handle.process == process && handle.closed).map(|(id, _)| *id).collect();
        closed.into_iter().for_each(|id| self.drop_handle(id));
        // What is still open keeps its name.
        for handle in self.handles.values_mut().filter(|handle| handle.process == process) {
            *handle = Handle { path: handle.path.take(), ..Handle::new(process, handle.fd, handle.inode) };
        }
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
        for id in self.by_fd.values() {
            let Some(handle) = self.handles.get_mut(id) else { continue };
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
        if self.handles.contains_key(&id) {
            self.closed.push_back(id);
            if self.closed.len() > CLOSED
                && let Some(oldest) = self.closed.pop_front()
            {
                self.drop_handle(oldest);
            }
        }
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
        let moved = self.handles.get(&id).and_then(|handle| self.moved.get(handle.path.as_deref()?)).cloned().unwrap_or_default();
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
        for other in others.into_iter().chain(moved) {
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
