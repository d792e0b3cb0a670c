//! `deadlock`: strands that wait for each other for ever, a strand that waits for itself, and locks whose owner has
//! ended. What cannot end by itself is told at once; it does not judge the order of locks that did not hang.

#[cfg(test)]
mod tests;
mod words;

use rustc_hash::{FxHashMap, FxHashSet};

use super::definitions::{Definitions, Site};
use super::describe;
use super::findings::Findings;
use super::lock::LockId;
use super::stall::{self, Stuck};
use super::strand::{Strand, StrandId, Waiting};
use super::wait_graph::{Link, Need, cycle_through};
use super::world::World;
use super::{Detector, StandsStill};
use crate::event::{Awaited, CodeId, Event, LockKind, Patience, ProcessId, Record, StackId};

/// A wait that nobody seems able to end, but that something not seen here might: it is told when it has lasted.
#[derive(Debug, Clone)]
struct Doubt {
    strand: StrandId,
    waiting: Waiting,
    cycle: Vec<Link>,
    /// Nanoseconds after which it is told all the same.
    grace: u64,
}

/// The owner has ended. A lock that is released by somebody else for the first time would be a hand-made signal.
const GRACE_ORPHAN: u64 = 1_000_000_000;
/// Tasks that wait for each other's locks may have timeouts around that, to try again; short ones.
const GRACE_TASKS: u64 = 1_000_000_000;
/// A plain lock taken twice in one function can be a hand-made signal, a task's only wait can have a timeout around it.
const GRACE_DOUBTFUL: u64 = 10_000_000_000;
/// What the first of several took for all of them may be given back by any other, late where they are many.
const GRACE_FOR_ALL: u64 = 15_000_000_000;

/// A cycle that was told.
#[derive(Debug)]
struct Told {
    fingerprint: String,
    /// Of one that was in doubt: who waits for which lock. Whoever gets it after all was in no deadlock.
    waits: Vec<(StrandId, LockId)>,
}

#[derive(Debug, Default)]
pub struct Deadlock {
    doubts: Vec<Doubt>,
    /// The latest time heard of.
    now: u64,
    /// By the strands of the cycle.
    told: FxHashMap<Vec<StrandId>, Told>,
    /// Processes of which a deadlock was told.
    hung: FxHashSet<ProcessId>,
}

impl Detector for Deadlock {
    fn follows_accesses(&self) -> bool {
        true
    }

    fn record(&mut self, world: &World, record: &Record, findings: &mut Findings) {
        match &record.event {
            Event::LockWait { patience: Patience::Forever, .. } => {
                if let Some(strand) = world.strand_of(record) {
                    self.look_at(world, strand, findings);
                }
            }
            Event::LockAcquired { lock, .. } if !self.told.is_empty() => {
                if let (Some(strand), Some(lock)) = (world.strand_of(record), world.lock_of(record.process, *lock)) {
                    self.withdraw(strand, lock, findings);
                }
            }
            Event::Block { on: Awaited::Thread(_), .. } => {
                if let Some(strand) = world.strand_of(record) {
                    self.joins(world, strand, findings);
                }
            }
            Event::ThreadEnd => {
                let ending = world.thread(record.process, record.thread);
                self.look_for_orphans(world, ending);
            }
            Event::TaskEnd { task } => self.look_for_orphans(world, world.task(record.process, *task)),
            Event::Gap { .. } | Event::Settled => {
                self.doubts.retain(|doubt| describe::process_of(world, doubt.strand) != record.process)
            }
            Event::ProcessEnd { orderly } => {
                self.now = self.now.max(record.time);
                self.conclude(world, record.process, *orderly, findings);
            }
            _ => {}
        }
        self.now = self.now.max(record.time);
        if !self.doubts.is_empty() {
            self.settle(world, record.time, findings);
        }
    }

    fn tick(&mut self, world: &World, now: u64, stands_still: StandsStill<'_>, findings: &mut Findings) {
        self.now = self.now.max(now);
        self.settle(world, now, findings);
        for (id, process) in world.processes().filter(|(id, _)| !self.hung.contains(id)).collect::<Vec<_>>() {
            if let Some(stuck) = stall::stuck(world, id, now).filter(|_| stands_still(process.info.pid)) {
                self.stands_still(world, id, &stuck, findings);
            }
        }
    }

    /// Whoever asks for a report in the middle gets what is certain; what still waits at the end is told then.
    fn report(&mut self, world: &World, findings: &mut Findings) {
        for process in world.processes().filter(|(_, process)| process.ended.is_none()).map(|(id, _)| id).collect::<Vec<_>>() {
            self.conclude(world, process, false, findings);
        }
    }
}

impl Deadlock {
    fn look_at(&mut self, world: &World, strand: StrandId, findings: &mut Findings) {
        let Some(waiting) = world.strand(strand).and_then(|strand| strand.waiting) else { return };
        if let Some(cycle) = cycle_through(strand, |strand| needs(world, strand)) {
            match grace(world, &cycle) {
                0 => self.tell(world, &cycle, false, findings),
                grace => self.doubts.push(Doubt { strand, waiting, cycle, grace }),
            }
            return;
        }
        let owner = world.lock(waiting.lock).and_then(|lock| lock.owner());
        if let Some(owner) =
            owner.filter(|owner| *owner != strand && world.strand(*owner).is_some_and(|owner| owner.ended.is_some()))
        {
            self.doubt_orphan(world, strand, waiting, owner);
        }
    }

    /// A thread waits for the end of another, which may wait for what it holds.
    fn joins(&mut self, world: &World, strand: StrandId, findings: &mut Findings) {
        if let Some(cycle) = cycle_through(strand, |strand| needs(world, strand)) {
            self.tell(world, &cycle, false, findings);
        }
    }

    /// A strand ends while others wait for what it holds.
    fn look_for_orphans(&mut self, world: &World, ending: Option<StrandId>) {
        let Some(ending) = ending else { return };
        if world.held(ending).is_empty() {
            return;
        }
        let mut waiting: Vec<(StrandId, Waiting)> =
            world.strands().filter_map(|(id, strand)| Some((id, strand.waiting?))).collect();
        waiting.sort_by_key(|(id, _)| *id);
        for (strand, wait) in waiting {
            if wait.patience == Patience::Forever && world.lock(wait.lock).and_then(|lock| lock.owner()) == Some(ending) {
                self.doubt_orphan(world, strand, wait, ending);
            }
        }
    }

    fn doubt_orphan(&mut self, world: &World, strand: StrandId, waiting: Waiting, owner: StrandId) {
        if describe::is_internal(world, waiting.lock) {
            return;
        }
        let cycle = vec![Link { strand, need: Need::Lock(waiting.lock) }, Link { strand: owner, need: Need::Ended }];
        let grace = if is_for_all(world, &cycle, 0) { GRACE_FOR_ALL } else { GRACE_ORPHAN };
        self.doubts.push(Doubt { strand, waiting, cycle, grace });
    }

    /// Tells what has waited long enough, and forgets what has gone on.
    fn settle(&mut self, world: &World, now: u64, findings: &mut Findings) {
        self.doubts.retain(|doubt| holds_still(world, doubt));
        let due = |doubt: &Doubt| now.saturating_sub(doubt.waiting.since) >= doubt.grace;
        let (due, waiting) = std::mem::take(&mut self.doubts).into_iter().partition(due);
        self.doubts = waiting;
        for doubt in due {
            self.tell(world, &doubt.cycle, true, findings);
        }
    }

    /// The process is over. In good order, its last waits were for daemons, or were cancelled; else it hung in them.
    fn conclude(&mut self, world: &World, process: ProcessId, orderly: bool, findings: &mut Findings) {
        self.settle(world, 0, findings);
        let (own, others) =
            std::mem::take(&mut self.doubts).into_iter().partition(|doubt| describe::process_of(world, doubt.strand) == process);
        self.doubts = others;
        for doubt in own {
            let enough = if doubt.grace == GRACE_FOR_ALL { GRACE_FOR_ALL } else { GRACE_ORPHAN };
            let lasted = self.now.saturating_sub(doubt.waiting.since) >= enough;
            if doubt.grace == GRACE_ORPHAN || (!orderly && lasted) {
                self.tell(world, &doubt.cycle, true, findings);
            }
        }
    }

    /// Nothing in this process will ever move again: what was in doubt is certain, or else all wait for each other.
    fn stands_still(&mut self, world: &World, process: ProcessId, stuck: &[Stuck], findings: &mut Findings) {
        let (own, others) =
            std::mem::take(&mut self.doubts).into_iter().partition(|doubt| describe::process_of(world, doubt.strand) == process);
        self.doubts = others;
        for doubt in own {
            self.tell(world, &doubt.cycle, true, findings);
        }
        if self.hung.insert(process)
            && let Some(finding) = stall::describe(world, process, stuck)
        {
            findings.add(finding);
        }
    }

    fn tell(&mut self, world: &World, cycle: &[Link], in_doubt: bool, findings: &mut Findings) {
        let mut strands: Vec<StrandId> = cycle.iter().map(|link| link.strand).collect();
        strands.sort_unstable();
        if self.told.contains_key(&strands) {
            return;
        }
        let finding = words::describe(world, cycle);
        let waits = cycle.iter().filter_map(|link| Some((link.strand, link.need.lock()?))).filter(|_| in_doubt).collect();
        self.told.insert(strands, Told { fingerprint: finding.fingerprint.clone(), waits });
        self.hung.extend(cycle.first().map(|link| describe::process_of(world, link.strand)));
        findings.add(finding);
    }

    /// A strand has got a lock.
    fn withdraw(&mut self, strand: StrandId, lock: LockId, findings: &mut Findings) {
        for told in self.told.values_mut().filter(|told| told.waits.contains(&(strand, lock))) {
            told.waits.clear();
            findings.withdraw(&told.fingerprint);
        }
    }
}

/// Nothing has moved since: the same strands wait for the same locks, which are no signals.
fn holds_still(world: &World, doubt: &Doubt) -> bool {
    let waits = world.strand(doubt.strand).is_some_and(|strand| strand.waiting == Some(doubt.waiting));
    let Some(lock) = world.lock(doubt.waiting.lock).filter(|lock| waits && !lock.signals) else { return false };
    match doubt.cycle.last() {
        Some(Link { strand, need: Need::Ended }) => lock.owner() == Some(*strand),
        _ => cycle_through(doubt.strand, |strand| needs(world, strand)).is_some(),
    }
}

/// What a strand cannot go on without.
fn needs(world: &World, id: StrandId) -> Vec<(Need, StrandId)> {
    let Some(strand) = world.strand(id) else { return Vec::new() };
    let mut needs = Vec::new();
    let mut blocks = strand.blocked.is_some();
    needs.extend(joined_by(world, strand).map(|other| (Need::End, other)));
    if let Some(waiting) = strand.waiting.filter(|waiting| waiting.patience == Patience::Forever)
        && let Some(lock) = world.lock(waiting.lock)
    {
        blocks = !lock.is_async();
        if describe::is_internal(world, waiting.lock) {
            needs.extend(blocked_loops(world, id, waiting.stack).map(|other| (Need::Result, other)));
        } else if let Some(owner) = lock.owner()
            && (owner != id || lock.kind != LockKind::RLock)
        {
            needs.push((Need::Lock(waiting.lock), owner));
        }
    }
    if strand.task.is_some()
        && !blocks
        && let Some(other) = running_on(world, strand)
        && other != id
        && is_blocked(world, other)
    {
        needs.push((Need::Loop, other));
    }
    needs
}

/// The thread whose end a strand waits for, while it lives.
fn joined_by(world: &World, strand: &Strand) -> Option<StrandId> {
    let Some(Awaited::Thread(token)) = strand.blocked.map(|blocked| blocked.on) else { return None };
    let process = world.process(strand.process)?;
    let own = process.tokens.get(&token)?.strand.filter(|own| world.strand(*own).is_some_and(|own| own.ended.is_none()))?;
    // What the thread does now may be a task's doing.
    let thread = world.strand(own).and_then(|own| process.threads.get(&own.thread))?;
    Some(if thread.own == own { thread.current } else { own })
}

/// Tasks that block their loop for a lock of this strand, which itself waits for the result of a future.
fn blocked_loops(world: &World, id: StrandId, stack: StackId) -> impl Iterator<Item = StrandId> + '_ {
    let holds = world.held(id).iter().any(|held| !describe::is_internal(world, held.lock));
    let waits = holds && waits_for_result(world, describe::process_of(world, id), stack);
    let mine = move |strand: &Strand| {
        strand.waiting.is_some_and(|waiting| world.lock(waiting.lock).and_then(|lock| lock.owner()) == Some(id))
    };
    let blocked =
        world.strands().filter(move |(other, strand)| strand.task.is_some() && mine(strand) && is_blocked(world, *other));
    waits.then_some(blocked).into_iter().flatten().map(|(other, _)| other)
}

fn waits_for_result(world: &World, process: ProcessId, stack: StackId) -> bool {
    let Some(definitions) = world.definitions(process) else { return false };
    definitions.walk(stack).filter_map(|(_, entry)| definitions.code(definitions.site(entry.site)?.code)).any(|entry| {
        entry.info.module == "concurrent.futures._base" && matches!(entry.info.code.qualname.as_str(), "Future.result" | "result")
    })
}

/// The strand that the event loop's thread runs now.
fn running_on(world: &World, task: &Strand) -> Option<StrandId> {
    world.process(task.process)?.threads.get(&task.thread).map(|thread| thread.current)
}

/// It blocks for a lock with the whole thread, event loop included.
fn is_blocked(world: &World, strand: StrandId) -> bool {
    let waiting = world.strand(strand).and_then(|strand| strand.waiting);
    waiting.is_some_and(|waiting| {
        waiting.patience == Patience::Forever && world.lock(waiting.lock).is_some_and(|lock| !lock.is_async() && !lock.signals)
    })
}

/// How long to wait before a cycle is told: not at all where nothing outside it can end it.
fn grace(world: &World, cycle: &[Link]) -> u64 {
    let is_async = |link: &Link| matches!(link.need, Need::Lock(lock) if world.lock(lock).is_some_and(|lock| lock.is_async()));
    match cycle {
        _ if (0..cycle.len()).any(|at| is_for_all(world, cycle, at)) => GRACE_FOR_ALL,
        [Link { strand, need: Need::Lock(lock) }] if is_async(&cycle[0]) || !is_nested(world, *strand, *lock) => GRACE_DOUBTFUL,
        _ if cycle.iter().any(|link| link.need == Need::Result) => GRACE_DOUBTFUL,
        _ if cycle.iter().all(is_async) => GRACE_TASKS,
        _ => 0,
    }
}

/// Is the lock that is waited for there one that its holder took because of what it saw (it is the first reader), in a
/// function that is over?
fn is_for_all(world: &World, cycle: &[Link], at: usize) -> bool {
    let (Some(lock), Some(holder)) = (cycle[at].need.lock(), cycle.get((at + 1) % cycle.len())) else { return false };
    let Some(state) = world.strand(holder.strand) else { return false };
    let Some(definitions) = world.definitions(state.process) else { return false };
    let Some(taken) = world.held(holder.strand).iter().find(|held| held.lock == lock) else { return false };
    let stack = state.waiting.map(|waiting| waiting.stack).or(state.blocked.map(|blocked| blocked.stack));
    let goes_on = || runs_on(definitions, stack?, taken.stack);
    world.site(state.process, taken.stack).is_some_and(|site| site.decided) && goes_on() != Some(true)
}

/// Is the function that was in `before` outside of the standard library still running in `now`, further on?
fn runs_on(definitions: &Definitions, now: StackId, before: StackId) -> Option<bool> {
    let then = definitions.site(definitions.outside_stdlib(before)?)?;
    let now = activation(definitions, now, own_frame(definitions, before)?);
    Some(now.is_some_and(|now| now.offset >= then.offset))
}

/// The innermost activation of a function outside of the standard library: what called it, and its code.
fn own_frame(definitions: &Definitions, stack: StackId) -> Option<(StackId, CodeId)> {
    let own = definitions.walk(stack).find(|(_, entry)| definitions.outside_stdlib(stack) == Some(entry.site));
    own.and_then(|(_, entry)| Some((entry.parent, definitions.site(entry.site)?.code)))
}

/// Where that activation is, if it is one of the stack's.
fn activation(definitions: &Definitions, stack: StackId, frame: (StackId, CodeId)) -> Option<&Site> {
    let mut sites = definitions.walk(stack).filter_map(|(_, entry)| Some((entry.parent, definitions.site(entry.site)?)));
    sites.find(|(below, site)| (*below, site.code) == frame).map(|(_, site)| site)
}

/// The function that took the lock has called, directly or not, the one that waits for it. A signal is not made so.
fn is_nested(world: &World, strand: StrandId, lock: LockId) -> bool {
    let Some(state) = world.strand(strand) else { return false };
    let Some(definitions) = world.definitions(state.process) else { return false };
    let Some(taken) = world.held(strand).iter().find(|held| held.lock == lock) else { return false };
    let (Some(waiting), Some(frame)) = (state.waiting, own_frame(definitions, taken.stack)) else { return false };
    own_frame(definitions, waiting.stack) != Some(frame) && activation(definitions, waiting.stack, frame).is_some()
}
