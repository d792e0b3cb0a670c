//! `deadlock`: strands that wait for each other for ever, a strand that waits for itself, and locks whose owner has
//! ended. What cannot end by itself is told at once; it does not judge the order of locks that did not hang.

use rustc_hash::FxHashSet;

use super::describe::{self, Act, Draft, finding};
use super::findings::Findings;
use super::lock::LockId;
use super::naming;
use super::picture::{self, Scene};
use super::stall::{self, Stuck};
use super::strand::{Strand, StrandId, Waiting};
use super::wait_graph::{Link, Need, cycle_through};
use super::world::World;
use super::{Detector, StandsStill};
use crate::event::{Awaited, Event, LockKind, Patience, ProcessId, Record, StackId};
use crate::finding::{Evidence, Finding, Kind, Severity, Subject};

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

#[derive(Debug, Default)]
pub struct Deadlock {
    doubts: Vec<Doubt>,
    /// The latest time heard of.
    now: u64,
    told: FxHashSet<Vec<StrandId>>,
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
                0 => self.tell(world, &cycle, findings),
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
            self.tell(world, &cycle, findings);
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
        self.doubts.push(Doubt { strand, waiting, cycle, grace: GRACE_ORPHAN });
    }

    /// Tells what has waited long enough, and forgets what has gone on.
    fn settle(&mut self, world: &World, now: u64, findings: &mut Findings) {
        self.doubts.retain(|doubt| holds_still(world, doubt));
        let due = |doubt: &Doubt| now.saturating_sub(doubt.waiting.since) >= doubt.grace;
        let (due, waiting) = std::mem::take(&mut self.doubts).into_iter().partition(due);
        self.doubts = waiting;
        for doubt in due {
            self.tell(world, &doubt.cycle, findings);
        }
    }

    /// The process is over. In good order, its last waits were for daemons, or were cancelled; else it hung in them.
    fn conclude(&mut self, world: &World, process: ProcessId, orderly: bool, findings: &mut Findings) {
        self.settle(world, 0, findings);
        let (own, others) =
            std::mem::take(&mut self.doubts).into_iter().partition(|doubt| describe::process_of(world, doubt.strand) == process);
        self.doubts = others;
        for doubt in own {
            let lasted = self.now.saturating_sub(doubt.waiting.since) >= GRACE_ORPHAN;
            if doubt.grace == GRACE_ORPHAN || (!orderly && lasted) {
                self.tell(world, &doubt.cycle, findings);
            }
        }
    }

    /// Nothing in this process will ever move again: what was in doubt is certain, or else all wait for each other.
    fn stands_still(&mut self, world: &World, process: ProcessId, stuck: &[Stuck], findings: &mut Findings) {
        let (own, others) =
            std::mem::take(&mut self.doubts).into_iter().partition(|doubt| describe::process_of(world, doubt.strand) == process);
        self.doubts = others;
        for doubt in own {
            self.tell(world, &doubt.cycle, findings);
        }
        if self.hung.insert(process)
            && let Some(finding) = stall::describe(world, process, stuck)
        {
            findings.add(finding);
        }
    }

    fn tell(&mut self, world: &World, cycle: &[Link], findings: &mut Findings) {
        let mut strands: Vec<StrandId> = cycle.iter().map(|link| link.strand).collect();
        strands.sort_unstable();
        if self.told.insert(strands) {
            self.hung.extend(cycle.first().map(|link| describe::process_of(world, link.strand)));
            findings.add(describe_cycle(world, cycle));
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
        [Link { strand, need: Need::Lock(lock) }] if is_async(&cycle[0]) || !is_nested(world, *strand, *lock) => GRACE_DOUBTFUL,
        _ if cycle.iter().any(|link| link.need == Need::Result) => GRACE_DOUBTFUL,
        _ if cycle.iter().all(is_async) => GRACE_TASKS,
        _ => 0,
    }
}

/// The function that took the lock has called, directly or not, the one that waits for it. A signal is not made so.
fn is_nested(world: &World, strand: StrandId, lock: LockId) -> bool {
    let Some(state) = world.strand(strand) else { return false };
    let Some(definitions) = world.definitions(state.process) else { return false };
    let Some(taken) = world.held(strand).iter().find(|held| held.lock == lock) else { return false };
    let outer = |stack: StackId| {
        let own = definitions.walk(stack).find(|(_, entry)| definitions.outside_stdlib(stack) == Some(entry.site));
        own.and_then(|(_, entry)| Some((entry.parent, definitions.site(entry.site)?.code)))
    };
    let (Some(waiting), Some(frame)) = (state.waiting, outer(taken.stack)) else { return false };
    let own = outer(waiting.stack);
    own != Some(frame)
        && definitions
            .walk(waiting.stack)
            .any(|(_, entry)| definitions.site(entry.site).is_some_and(|site| (entry.parent, site.code) == frame))
}

fn describe_cycle(world: &World, cycle: &[Link]) -> Finding {
    let locks: Vec<LockId> = cycle.iter().filter_map(|link| link.need.lock()).collect();
    let mut accesses = Vec::new();
    let mut steps: Vec<(usize, String, StrandId, u64)> = Vec::new();
    for (at, link) in cycle.iter().enumerate() {
        let before = if at == 0 { cycle.last() } else { cycle.get(at - 1) };
        let held = world.held(link.strand);
        let wanted = before.and_then(|before| before.need.lock());
        if let Some(hold) = wanted.and_then(|lock| held.iter().find(|held| held.lock == lock)) {
            steps.push((accesses.len(), format!("acquire {}", naming::lock(world, hold.lock)), link.strand, hold.since));
            let what = format!("acquires {} and keeps it", naming::lock(world, hold.lock));
            accesses.push(describe::access(
                world,
                Act { role: "hold", what: &what, strand: link.strand, stack: hold.stack, held: &[] },
            ));
        }
        if let Some(waiting) = world.strand(link.strand).and_then(|strand| strand.waiting) {
            steps.push((accesses.len(), format!("wait {}", naming::lock(world, waiting.lock)), link.strand, waiting.since));
            let what = format!("waits for {}", naming::lock(world, waiting.lock));
            accesses.push(describe::access(
                world,
                Act { role: "acquire", what: &what, strand: link.strand, stack: waiting.stack, held },
            ));
        } else if let Some(blocked) = world.strand(link.strand).and_then(|strand| strand.blocked) {
            let act =
                Act { role: "wait", what: "waits for the end of a thread", strand: link.strand, stack: blocked.stack, held };
            accesses.push(describe::access(world, act));
        }
    }
    let process = cycle.first().map_or(ProcessId(0), |link| describe::process_of(world, link.strand));
    let draft = Draft {
        kind: Kind::Deadlock,
        severity: Severity::Error,
        evidence: Evidence::Observed,
        subject: subject(world, cycle, locks),
        message: message(world, cycle),
        accesses,
        why: None,
        observed: Some("the process hung here".to_owned()),
        help: help(world, cycle),
    };
    let scenes: Vec<Scene<'_>> = steps
        .iter()
        .map(|(access, what, strand, time)| Scene { access: Some(*access), what, strand: *strand, time: *time, held: &[] })
        .collect();
    Finding { timeline: picture::timeline(world, &scenes), ..finding(world, process, draft) }
}

fn subject(world: &World, cycle: &[Link], locks: Vec<LockId>) -> Subject {
    if !locks.is_empty() {
        return describe::lock_names(world, locks);
    }
    let mut names: Vec<String> = cycle.iter().map(|link| describe::name(world, link.strand)).collect();
    names.sort();
    Subject { kind: "locks".to_owned(), name: names.join(",") }
}

fn message(world: &World, cycle: &[Link]) -> String {
    let clauses: Vec<String> = cycle
        .iter()
        .enumerate()
        .map(|(at, link)| {
            let next = cycle.get((at + 1) % cycle.len()).unwrap_or(link);
            let (who, other) = (describe::name(world, link.strand), describe::name(world, next.strand));
            match link.need {
                Need::Lock(lock) if link.strand == next.strand => {
                    format!("{who} waits for {}, which it holds itself", naming::lock(world, lock))
                }
                Need::Lock(lock) => format!("{who} waits for {}, which {other} holds", naming::lock(world, lock)),
                Need::Loop => format!("{who} can only go on when the event loop runs, which {other} blocks"),
                Need::Result => format!("{who} waits for a future, and {other} blocks the event loop that is to complete it"),
                Need::End => format!("{who} waits for the end of {other}"),
                Need::Ended => format!("{who} has ended without releasing it"),
            }
        })
        .collect();
    clauses.join("; ")
}

fn help(world: &World, cycle: &[Link]) -> String {
    let first = cycle.iter().find_map(|link| link.need.lock()).map(|lock| naming::lock(world, lock)).unwrap_or_default();
    if cycle.iter().any(|link| link.need == Need::Ended) {
        return format!("release {first} whatever happens: take it with a `with` block instead of acquire() and release()");
    }
    if cycle.iter().all(|link| link.need == Need::End) {
        return "let only one of them wait for the other: threads that join each other never end".to_owned();
    }
    if cycle.iter().any(|link| link.need == Need::End) {
        return format!("release {first} before the join(): the thread that is waited for takes it before it ends");
    }
    if cycle.iter().any(|link| link.need == Need::Result) {
        return format!("do not wait for a result of the event loop while holding {first}, which the loop takes too");
    }
    if cycle.iter().any(|link| link.need == Need::Loop) {
        return format!("use an asyncio.Lock instead of the threading lock {first}, or release it before each await");
    }
    if cycle.len() == 1 {
        return format!("make {first} a threading.RLock, or move the inner part into a function that expects it to be held");
    }
    "take these locks in the same order everywhere, or put both under one lock".to_owned()
}

#[cfg(test)]
mod tests;
