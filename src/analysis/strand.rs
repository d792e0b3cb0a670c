//! Strands: OS threads and asyncio tasks, with their clocks and the locks they hold. A strand's number is used again
//! after it has ended and been forgotten, with another generation. Which events change them is the world's business.

use std::cell::OnceCell;
use std::collections::VecDeque;

use super::clock::{Clock, Knowledge, Known, Moment, Stamp, Told};
use super::lock::{Held, Holding};
use super::polls::Polling;
use crate::event::{Awaited, Patience, ProcessId, StackId, TaskId, TextId, ThreadToken, Tid};

/// The name of a strand that nobody has named: never defined.
pub const UNKNOWN_NAME: TextId = TextId(u32::MAX);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StrandId {
    index: u32,
    generation: u32,
}

/// A lock that a strand blocks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    pub lock: super::lock::LockId,
    pub stack: StackId,
    pub since: u64,
    pub patience: Patience,
}

/// Something else that a strand blocks for, without limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocked {
    pub on: Awaited,
    pub stack: StackId,
    pub since: u64,
}

#[derive(Debug, Clone)]
pub struct Strand {
    pub process: ProcessId,
    pub thread: Tid,
    /// The task, if it is one.
    pub task: Option<TaskId>,
    pub token: Option<ThreadToken>,
    pub name: TextId,
    pub started: StackId,
    pub parent: Option<StrandId>,
    /// The thread's own strand: itself for a thread, for a task the thread that runs its event loop.
    pub home: Option<StrandId>,
    /// Sequence number of its first and after its last event.
    pub begun: u64,
    pub ended: Option<u64>,
    pub clock: Clock,
    /// What was certainly over when it was started. None: it was there before watching began.
    pub birth: Option<Known>,
    pub held: Vec<Held>,
    /// `held` as a value to keep, made when it is first asked for.
    snapshot: OnceCell<Holding>,
    pub waiting: Option<Waiting>,
    pub blocked: Option<Blocked>,
    /// It is in a loop that waits for what another one has stored.
    pub(super) polling: Option<Box<Polling>>,
    /// How often it gave way to others of its event loop.
    pub turns: u64,
    /// It is not known what it holds and was told (see [`crate::event::Event::Unsettled`]).
    pub unsettled: bool,
    /// What it does for a pool, one piece after the other.
    pub jobs: Jobs,
    /// Chains of ended strands that it has waited for, with their last moment: a strand that it starts may go on on one.
    pub heirs: Vec<Moment>,
    /// The last publication, once ended: for those who join it later.
    pub farewell: Option<Stamp>,
}

/// Pieces of work that a pool's thread does. Two of them are only ordered by what they tell each other.
#[derive(Debug, Clone, Default)]
pub struct Jobs {
    /// What was known where the last thing that it got out of a queue was put in.
    pub got: Option<Told>,
    /// How many it has begun.
    count: u32,
    /// The first moment of the first one: what came before is for all of them.
    first: Option<Moment>,
    current: Option<Box<Job>>,
}

#[derive(Debug, Clone)]
struct Job {
    /// What was certainly over for it, whichever thread does it; if it was seen being handed to the pool.
    known: Option<Knowledge>,
    /// It has held a lock: then what it knows from others' critical sections is not followed.
    locked: bool,
}

impl Jobs {
    /// The piece that is being done, by number; 0 is none.
    pub fn current(&self) -> u32 {
        if self.current.is_some() { self.count } else { 0 }
    }

    pub fn begin(&mut self, now: Moment) {
        self.first.get_or_insert(now);
        let known = self.got.take().map(|told| {
            let mut known = Knowledge::default();
            known.join_told(&told);
            known
        });
        self.current = Some(Box::new(Job { known, locked: false }));
        self.count = self.count.saturating_add(1);
    }

    pub fn end(&mut self) {
        self.current = None;
    }

    pub fn learns(&mut self, work: impl FnOnce(&mut Knowledge)) {
        if let Some(known) = self.current.as_mut().and_then(|job| job.known.as_mut()) {
            work(known);
        }
    }

    pub fn locks(&mut self) {
        if let Some(job) = &mut self.current {
            job.locked = true;
        }
    }

    /// Did what the strand was last given out of a queue (its piece of work, of a pool's thread) come after that moment?
    pub fn were_given_after(&self, moment: Moment) -> bool {
        let work = self.current.as_ref().and_then(|job| job.known.as_ref());
        self.got.as_ref().is_some_and(|told| told.includes(moment)) || work.is_some_and(|known| known.hard().includes(moment))
    }

    /// Is what was done at that moment of the same thread, in an earlier piece, not known to be over to the present one?
    pub fn leaves_open(&self, moment: Moment) -> bool {
        let in_a_job = self.first.is_some_and(|first| moment.chain == first.chain && moment.tick >= first.tick);
        let unknown = |job: &Job| job.known.as_ref().is_some_and(|known| !known.hard().includes(moment));
        in_a_job && self.current.as_ref().is_some_and(|job| !job.locked && unknown(job))
    }
}

impl Strand {
    /// The locks it holds now, as a value to keep.
    pub fn snapshot(&self) -> Holding {
        self.snapshot.get_or_init(|| Holding::of(&self.held)).clone()
    }

    /// To be called after each change of `held`.
    pub(super) fn held_changed(&mut self) {
        self.snapshot = OnceCell::new();
    }

    /// What it knows, or knew when it ended.
    pub fn knowledge(&self) -> &Knowledge {
        self.farewell.as_ref().map_or(self.clock.knowledge(), |farewell| &farewell.knowledge)
    }

    /// Did both live at one time, as far as was seen?
    pub fn alive_with(&self, other: &Strand) -> bool {
        self.ended.is_none_or(|end| other.begun < end) && other.ended.is_none_or(|end| self.begun < end)
    }
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    strand: Option<Box<Strand>>,
}

/// All strands of a session. Ended ones are kept, for reports, up to a number.
#[derive(Debug, Default)]
pub struct Strands {
    slots: Vec<Slot>,
    free: Vec<u32>,
    ended: VecDeque<StrandId>,
    chains: u32,
}

/// Ended strands that are remembered.
const REMEMBERED: usize = 1 << 14;

impl Strands {
    pub fn get(&self, id: StrandId) -> Option<&Strand> {
        self.slots.get(id.index as usize).filter(|slot| slot.generation == id.generation)?.strand.as_deref()
    }

    pub fn get_mut(&mut self, id: StrandId) -> Option<&mut Strand> {
        self.slots.get_mut(id.index as usize).filter(|slot| slot.generation == id.generation)?.strand.as_deref_mut()
    }

    pub fn new_chain(&mut self) -> Moment {
        self.chains = self.chains.saturating_add(1);
        Moment { chain: self.chains, tick: 1 }
    }

    pub fn add(&mut self, new: NewStrand) -> StrandId {
        let strand = Box::new(Strand {
            process: new.process,
            thread: new.thread,
            task: new.task,
            token: new.token,
            name: new.name,
            started: new.started,
            parent: new.parent,
            home: None,
            begun: new.begun,
            ended: None,
            clock: new.clock,
            birth: new.birth,
            held: Vec::new(),
            snapshot: OnceCell::new(),
            waiting: None,
            blocked: None,
            polling: None,
            turns: 0,
            unsettled: false,
            jobs: Jobs::default(),
            heirs: Vec::new(),
            farewell: None,
        });
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let Some(slot) = self.slots.get_mut(index as usize) else { return StrandId { index, generation: u32::MAX } };
        slot.strand = Some(strand);
        StrandId { index, generation: slot.generation }
    }

    /// Marks it as ended; returns a strand that is forgotten for it.
    pub fn end(&mut self, id: StrandId, now: u64) -> Option<Box<Strand>> {
        let slot = self.slots.get_mut(id.index as usize).filter(|slot| slot.generation == id.generation)?;
        let strand = slot.strand.as_deref_mut()?;
        strand.ended = Some(now);
        strand.waiting = None;
        strand.blocked = None;
        strand.polling = None;
        strand.heirs = Vec::new();
        strand.jobs.got = None;
        strand.held.shrink_to_fit();
        strand.held_changed();
        // It is kept for its name and place; whoever joins it later follows its farewell. Clocks are what takes memory.
        strand.clock = Clock::new(strand.clock.moment(), Knowledge::default());
        strand.birth = strand.birth.take().map(|_| Known::default());
        self.ended.push_back(id);
        if self.ended.len() > REMEMBERED { self.ended.pop_front().and_then(|oldest| self.forget(oldest)) } else { None }
    }

    fn forget(&mut self, id: StrandId) -> Option<Box<Strand>> {
        let slot = self.slots.get_mut(id.index as usize).filter(|slot| slot.generation == id.generation)?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.index);
        slot.strand.take()
    }

    pub fn iter(&self) -> impl Iterator<Item = (StrandId, &Strand)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| {
            let id = StrandId { index: u32::try_from(index).ok()?, generation: slot.generation };
            Some((id, slot.strand.as_deref()?))
        })
    }

    pub fn ids_of(&self, process: ProcessId) -> Vec<StrandId> {
        self.iter().filter(|(_, strand)| strand.process == process).map(|(id, _)| id).collect()
    }
}

/// What is known of a strand when it is first heard of.
#[derive(Debug)]
pub struct NewStrand {
    pub process: ProcessId,
    pub thread: Tid,
    pub task: Option<TaskId>,
    pub token: Option<ThreadToken>,
    pub name: TextId,
    pub started: StackId,
    pub parent: Option<StrandId>,
    pub begun: u64,
    pub clock: Clock,
    pub birth: Option<Known>,
}
