//! Locks: who holds them, which of them are signals rather than mutual exclusion, and what their critical sections
//! have published. It does not judge; windows and the lock-order detector do.

use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::clock::{Knowledge, Stamp};
use super::definitions::SiteId;
use super::strand::StrandId;
use crate::event::{KeyId, LockKind, ObjectId, ProcessId, StackId};

/// A lock of the session. File locks of several processes on one path are one lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LockId(pub u64);

/// A lock held by a strand. Two equal `acquisition`s mean that it was not let go in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    pub lock: LockId,
    pub acquisition: u64,
    pub stack: StackId,
    /// Time of the acquisition.
    pub since: u64,
    /// Re-entries of an RLock beyond the first.
    pub again: u32,
    /// It keeps others out: not a semaphore with several places, not a lock that is used as a signal.
    pub excludes: bool,
}

/// The locks that a strand held at some moment, as a value to keep: mostly none or one, for which nothing is allocated.
#[derive(Debug, Clone, Default)]
pub enum Holding {
    #[default]
    Nothing,
    One(Held),
    Several(Arc<[Held]>),
}

impl Holding {
    pub fn of(held: &[Held]) -> Holding {
        match held {
            [] => Holding::Nothing,
            [one] => Holding::One(*one),
            several => Holding::Several(Arc::from(several)),
        }
    }
}

impl Deref for Holding {
    type Target = [Held];

    fn deref(&self) -> &[Held] {
        match self {
            Holding::Nothing => &[],
            Holding::One(one) => std::slice::from_ref(one),
            Holding::Several(several) => several,
        }
    }
}

/// A part of an object of the lock's process.
pub type Part = (ObjectId, KeyId);

#[derive(Debug, Clone)]
pub struct Lock {
    pub process: ProcessId,
    pub object: ObjectId,
    pub kind: LockKind,
    /// Where it was made; unknown if that was before watching began.
    pub created: Option<StackId>,
    /// An acquisition by user code, to name it by.
    pub acquired: Option<StackId>,
    /// Strands that hold it, once for each place they take.
    pub holders: Vec<StrandId>,
    /// It was once released by a strand that did not hold it: it tells others to go on.
    pub signals: bool,
    /// Where it was taken when others released it: there it keeps nobody out. `None`: nobody knows.
    pub(super) handed_on: Option<Vec<SiteId>>,
    /// What those who released it for others knew.
    pub(super) signalled: Knowledge,
    /// Parts written in the critical section that is open now.
    pub(super) writes: Vec<Part>,
    /// For each part the last publication of critical sections that wrote it.
    pub(super) published: FxHashMap<Part, Stamp>,
    /// A section wrote more than is kept: any later check follows it.
    pub(super) overflow: Option<Stamp>,
}

impl Lock {
    /// Does holding it keep others out?
    pub fn excludes(&self) -> bool {
        !self.signals && self.has_one_place()
    }

    fn has_one_place(&self) -> bool {
        !matches!(self.kind, LockKind::Semaphore(places) | LockKind::AsyncSemaphore(places) if places != 1)
    }

    /// Does it keep others out if it is taken there? A lock may be handed on by some (the first reader takes it, the last
    /// one gives it back) and be held by others (the writers).
    pub(super) fn excludes_from(&self, site: Option<SiteId>) -> bool {
        let handed_on = || self.handed_on.as_ref().is_none_or(|sites| site.is_none_or(|site| sites.contains(&site)));
        self.has_one_place() && !(self.signals && handed_on())
    }

    pub fn is_async(&self) -> bool {
        matches!(self.kind, LockKind::AsyncLock | LockKind::AsyncSemaphore(_))
    }

    /// The strand that holds it, if it is one that only one can hold.
    pub fn owner(&self) -> Option<StrandId> {
        if self.excludes() { self.holders.first().copied() } else { None }
    }
}

/// Parts that one section, or one lock, remembers as written.
const SECTION_PARTS: usize = 64;
const LOCK_PARTS: usize = 4096;

impl Lock {
    pub(super) fn note_write(&mut self, part: Part) {
        if self.writes.len() <= SECTION_PARTS && self.writes.last() != Some(&part) && !self.writes.contains(&part) {
            self.writes.push(part);
        }
    }

    /// Did critical sections that wrote that part publish what they knew?
    pub(super) fn has_published(&self, part: &Part) -> bool {
        self.overflow.is_some() || self.published.contains_key(part)
    }

    /// Nobody will acquire it again: what its sections published is of no use any more.
    fn forget_sections(&mut self) {
        self.signalled = Knowledge::default();
        self.published = FxHashMap::default();
        self.overflow = None;
        self.writes = Vec::new();
    }

    /// The critical section ends: what it wrote is published with all that its strand knew.
    pub(super) fn publish(&mut self, stamp: &Stamp) {
        if self.writes.len() > SECTION_PARTS || self.published.len() > LOCK_PARTS {
            self.published.clear();
            merge(&mut self.overflow, stamp);
        } else {
            for part in &self.writes {
                match self.published.get_mut(part) {
                    Some(earlier) => absorb(earlier, stamp),
                    None => {
                        self.published.insert(*part, stamp.clone());
                    }
                }
            }
        }
        self.writes.clear();
    }
}

fn merge(into: &mut Option<Stamp>, stamp: &Stamp) {
    match into {
        Some(earlier) => absorb(earlier, stamp),
        None => *into = Some(stamp.clone()),
    }
}

/// The later publication, with what the earlier one knew beyond it.
fn absorb(earlier: &mut Stamp, later: &Stamp) {
    let same_chain = earlier.moment.chain == later.moment.chain;
    let old = std::mem::replace(earlier, later.clone());
    if !same_chain {
        earlier.knowledge.join_soft(&old);
    }
}

/// All locks of a session. Those whose object is gone are kept, for reports, up to a number.
#[derive(Debug, Default)]
pub struct Locks {
    by_id: FxHashMap<LockId, Lock>,
    gone: VecDeque<LockId>,
    next: u64,
}

const REMEMBERED: usize = 1024;

impl Locks {
    pub fn get(&self, id: LockId) -> Option<&Lock> {
        self.by_id.get(&id)
    }

    pub fn get_mut(&mut self, id: LockId) -> Option<&mut Lock> {
        self.by_id.get_mut(&id)
    }

    pub fn iter(&self) -> impl Iterator<Item = (LockId, &Lock)> {
        self.by_id.iter().map(|(id, lock)| (*id, lock))
    }

    pub(super) fn add(&mut self, process: ProcessId, object: ObjectId, kind: LockKind, created: Option<StackId>) -> LockId {
        self.next += 1;
        let id = LockId(self.next);
        let lock = Lock {
            process,
            object,
            kind,
            created,
            acquired: None,
            holders: Vec::new(),
            signals: false,
            handed_on: Some(Vec::new()),
            signalled: Knowledge::default(),
            writes: Vec::new(),
            published: FxHashMap::default(),
            overflow: None,
        };
        self.by_id.insert(id, lock);
        id
    }

    pub(super) fn object_gone(&mut self, id: LockId) {
        if let Some(lock) = self.by_id.get_mut(&id) {
            lock.forget_sections();
        }
        self.gone.push_back(id);
        if self.gone.len() > REMEMBERED
            && let Some(oldest) = self.gone.pop_front()
        {
            self.by_id.remove(&oldest);
        }
    }
}
