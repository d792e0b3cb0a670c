//! The hazards of asyncio that are no accesses: `thread-lock-across-await`, `lock-held-across-await` and
//! `unawaited-coroutine`. Tasks that wait for each other for ever are [`super::deadlock`]'s.

use rustc_hash::FxHashMap;

use super::Detector;
use super::describe::{self, Act, Draft, finding};
use super::findings::Findings;
use super::lock::{Held, LockId};
use super::naming;
use super::picture::{self, Scene};
use super::strand::{StrandId, Waiting};
use super::world::World;
use crate::event::{Event, LockKind, ProcessId, Record, StackId, Tid};
use crate::finding::{AccessReport, Evidence, Finding, Frame, Kind, Severity, Subject};

/// Nanoseconds for which a threading lock has to stop an event loop before that is told as such.
const STALL: u64 = 100_000_000;

/// What holding an asyncio lock over awaits may take, in nanoseconds, unless asked otherwise.
const LONG_HOLD: u64 = 50_000_000;

fn long_hold(world: &World) -> u64 {
    world.options.long_hold_or(LONG_HOLD)
}

/// Tasks that a finding shows waiting.
const MOST_WAITERS: usize = 3;

#[derive(Debug, Default)]
pub struct Tasks {
    /// asyncio locks that are held, by acquisition.
    holds: FxHashMap<u64, Hold>,
    /// Event loops' strands that block for a threading lock, and who has it.
    stalls: FxHashMap<StrandId, (Waiting, Option<(StrandId, Held)>)>,
    suspended: FxHashMap<StrandId, Suspension>,
    /// How long the loop of each thread has had nothing to do, for threads that say so.
    waited: FxHashMap<(ProcessId, Tid), u64>,
}

/// A strand has given way.
#[derive(Debug, Clone, Copy)]
struct Suspension {
    since: u64,
    at: StackId,
    /// What the loop had waited by then.
    waited: Option<u64>,
}

/// An asyncio lock in the hand of one task.
#[derive(Debug, Clone, Copy)]
struct Hold {
    /// The longest suspension since it was acquired: how long, where, and when it began.
    longest: u64,
    at: StackId,
    since: u64,
    total: u64,
}

impl Detector for Tasks {
    fn record(&mut self, world: &World, record: &Record, findings: &mut Findings) {
        match &record.event {
            Event::Suspend { stack } => {
                if let Some(strand) = world.strand_of(record) {
                    self.suspends(world, strand, record, *stack, findings);
                }
            }
            Event::TaskSwitch { task: Some(task) } => {
                if let Some(strand) = world.task(record.process, *task) {
                    self.resumes(world, strand, record);
                }
            }
            Event::LoopWaited { nanoseconds } => {
                *self.waited.entry((record.process, record.thread)).or_default() += nanoseconds;
            }
            Event::LockWait { .. } => {
                if let Some(strand) = world.strand_of(record) {
                    self.waits(world, strand);
                }
            }
            Event::LockAcquired { lock, .. } => {
                if let (Some(lock), Some(strand)) = (world.lock_of(record.process, *lock), world.strand_of(record)) {
                    self.stalled(world, strand, lock, record.time, findings);
                }
            }
            Event::LockReleased { lock, .. } => {
                if let (Some(lock), Some(strand)) = (world.lock_of(record.process, *lock), world.strand_of(record)) {
                    self.released(world, strand, lock, record.time, findings);
                }
            }
            Event::TaskEnd { task } => {
                if let Some(strand) = world.task(record.process, *task) {
                    self.suspended.remove(&strand);
                    self.stalls.remove(&strand);
                    self.holds.retain(|acquisition, _| !world.held(strand).iter().any(|held| held.acquisition == *acquisition));
                }
            }
            Event::ThreadEnd => {
                self.waited.remove(&(record.process, record.thread));
                if let Some(strand) = world.thread(record.process, record.thread) {
                    self.suspended.remove(&strand);
                    self.stalls.remove(&strand);
                }
            }
            Event::CoroutineDropped { name, made, file, line } => {
                let name = world.text(record.process, *name);
                let file = world.text(record.process, *file);
                findings.add(describe_dropped(world, record, name, *made, (file, *line)));
            }
            Event::Gap { .. } | Event::Settled | Event::ProcessEnd { .. } => {
                if matches!(record.event, Event::ProcessEnd { .. }) {
                    self.waited.retain(|(process, _), _| *process != record.process);
                }
                self.holds.clear();
                self.stalls.clear();
                self.suspended.clear();
            }
            _ => {}
        }
    }
}

impl Tasks {
    fn suspends(&mut self, world: &World, strand: StrandId, record: &Record, stack: StackId, findings: &mut Findings) {
        // Each coroutine on the way out says so; the innermost is where the await is.
        if self.suspended.contains_key(&strand) {
            return;
        }
        let waited = self.waited.get(&(record.process, record.thread)).copied();
        self.suspended.insert(strand, Suspension { since: record.time, at: stack, waited });
        for held in world.held(strand) {
            let Some(lock) = world.lock(held.lock) else { continue };
            if matches!(lock.kind, LockKind::Lock | LockKind::RLock | LockKind::Semaphore(1))
                && lock.created.is_some()
                && !describe::is_internal(world, held.lock)
            {
                tell_across_await(world, (strand, held), record, stack, findings);
            } else if lock.is_async() {
                self.holds.entry(held.acquisition).or_insert(Hold { longest: 0, at: stack, since: record.time, total: 0 });
            }
        }
    }

    fn resumes(&mut self, world: &World, strand: StrandId, record: &Record) {
        let Some(suspension) = self.suspended.remove(&strand) else { return };
        let length = self.length(&suspension, record);
        for held in world.held(strand) {
            if let Some(hold) = self.holds.get_mut(&held.acquisition) {
                hold.total = hold.total.saturating_add(length);
                if length >= hold.longest {
                    (hold.longest, hold.at, hold.since) = (length, suspension.at, suspension.since);
                }
            }
        }
    }

    /// How long the await took. While the loop is busy with others, or gets no processor, it is not the await that takes
    /// long: so what counts is for how long the loop had nothing to do, if that is known.
    fn length(&self, suspension: &Suspension, record: &Record) -> u64 {
        let waited = self.waited.get(&(record.process, record.thread)).zip(suspension.waited);
        match waited {
            Some((now, then)) => now.saturating_sub(then),
            None => record.time.saturating_sub(suspension.since),
        }
    }

    fn waits(&mut self, world: &World, strand: StrandId) {
        let Some(state) = world.strand(strand) else { return };
        let Some(waiting) = state.waiting.filter(|_| state.task.is_some()) else { return };
        let Some(lock) = world.lock(waiting.lock).filter(|lock| !lock.is_async() && !lock.signals) else { return };
        let owner = lock.owner().and_then(|owner| {
            let held = world.held(owner).iter().find(|held| held.lock == waiting.lock)?;
            Some((owner, *held))
        });
        self.stalls.insert(strand, (waiting, owner));
    }

    /// A task, and its loop with it, got a threading lock that it had to wait for.
    fn stalled(&mut self, world: &World, strand: StrandId, lock: LockId, now: u64, findings: &mut Findings) {
        let Some((waiting, owner)) = self.stalls.remove(&strand) else { return };
        let long = now.saturating_sub(waiting.since);
        if waiting.lock != lock || long < STALL || describe::is_internal(world, lock) {
            return;
        }
        if let Some((owner, held)) = owner.filter(|(_, held)| now.saturating_sub(held.since) >= STALL) {
            findings.add(describe_stall(world, (strand, now), &waiting, (owner, held), long));
        }
    }

    fn released(&mut self, world: &World, strand: StrandId, lock: LockId, now: u64, findings: &mut Findings) {
        let Some(held) = world.held(strand).iter().find(|held| held.lock == lock) else { return };
        let Some(hold) = self.holds.remove(&held.acquisition) else { return };
        if hold.total < long_hold(world) {
            return;
        }
        let mut waiters: Vec<(StrandId, Waiting, u64)> = world
            .strands()
            .filter_map(|(id, strand)| {
                let waiting = strand.waiting.filter(|waiting| waiting.lock == lock)?;
                Some((id, waiting, now.saturating_sub(waiting.since.max(held.since))))
            })
            .filter(|(_, _, waited)| *waited >= long_hold(world))
            .collect();
        waiters.sort_by_key(|(id, _, waited)| (std::cmp::Reverse(*waited), *id));
        if !waiters.is_empty() {
            findings.add(describe_long_hold(world, (strand, *held, now), &hold, &waiters));
        }
    }
}

fn tell_across_await(world: &World, (strand, held): (StrandId, &Held), record: &Record, stack: StackId, findings: &mut Findings) {
    let process = record.process;
    let site = |stack: StackId| world.site_id(process, stack).map_or(u64::MAX, u64::from);
    let again = (Kind::ThreadLockAcrossAwait, site(held.stack), site(stack));
    if findings.again(again, Evidence::Observed) {
        return;
    }
    if !describe::touches_user_code(world, process, stack) {
        return findings.hide(again, "library code");
    }
    let name = naming::lock(world, held.lock);
    let accesses = vec![
        hold_access(world, strand, held, &name),
        describe::access(
            world,
            Act { role: "await", what: "gives way to the event loop", strand, stack, held: std::slice::from_ref(held) },
        ),
    ];
    let draft = Draft {
        kind: Kind::ThreadLockAcrossAwait,
        severity: Severity::Error,
        evidence: Evidence::Observed,
        message: format!(
            "{} gives way to the event loop while it holds the threading lock {name}",
            describe::name(world, strand)
        ),
        accesses,
        why: Some(format!(
            "whoever asks for {name} in the meantime blocks: a thread for as long as the await takes, another task together with the whole loop, for ever"
        )),
        observed: None,
        help: format!("use an asyncio.Lock where only tasks take {name}; where threads take it too, release it before the await"),
        subject: lock_subject(name),
    };
    let (took, keeps) = (format!("acquire {}", draft.subject.name), std::slice::from_ref(held));
    let scene = |access, what, time| Scene { access: Some(access), what, strand, time, held: keeps };
    let timeline = picture::timeline(world, &[scene(0, &took, held.since), scene(1, "suspend", record.time)]);
    findings.add_named(again, Finding { timeline, ..finding(world, process, draft) });
}

fn hold_access(world: &World, strand: StrandId, held: &Held, name: &str) -> AccessReport {
    let what = format!("acquires {name}");
    describe::access(world, Act { role: "hold", what: &what, strand, stack: held.stack, held: &[] })
}

fn lock_subject(name: String) -> Subject {
    Subject { kind: "locks".to_owned(), name }
}

fn milliseconds(nanoseconds: u64) -> u64 {
    nanoseconds / 1_000_000
}

fn describe_stall(
    world: &World,
    (strand, now): (StrandId, u64),
    waiting: &Waiting,
    (owner, held): (StrandId, Held),
    long: u64,
) -> Finding {
    let name = naming::lock(world, waiting.lock);
    let what = format!("waits for {name} for {} ms, and the event loop with it", milliseconds(long));
    let accesses = vec![
        hold_access(world, owner, &held, &name),
        describe::access(world, Act { role: "acquire", what: &what, strand, stack: waiting.stack, held: &[] }),
    ];
    let process = describe::process_of(world, strand);
    let draft = Draft {
        kind: Kind::ThreadLockAcrossAwait,
        severity: Severity::Error,
        evidence: Evidence::Observed,
        message: format!(
            "{} blocks its event loop for {} ms: it waits for the threading lock {name}, which {} holds",
            describe::name(world, strand),
            milliseconds(long),
            describe::name(world, owner)
        ),
        accesses,
        why: Some("no task of this loop runs until the lock is released".to_owned()),
        observed: Some(format!("the loop stood still for {} ms", milliseconds(long))),
        help: format!("hold {name} only for operations in memory, or take it in a thread: await asyncio.to_thread(...)"),
        subject: lock_subject(name),
    };
    let (takes, waits) = (format!("acquire {}", draft.subject.name), format!("wait {}", draft.subject.name));
    let scene = |access, what, strand, time| Scene { access, what, strand, time, held: &[] };
    let keeps = Scene { held: std::slice::from_ref(&held), ..scene(Some(0), &takes, owner, held.since) };
    let scenes = [keeps, scene(Some(1), &waits, strand, waiting.since), scene(None, &takes, strand, now)];
    Finding { timeline: picture::timeline(world, &scenes), ..finding(world, process, draft) }
}

fn describe_long_hold(
    world: &World,
    (strand, held, now): (StrandId, Held, u64),
    hold: &Hold,
    waiters: &[(StrandId, Waiting, u64)],
) -> Finding {
    let name = naming::lock(world, held.lock);
    let process = describe::process_of(world, strand);
    let mut accesses = vec![hold_access(world, strand, &held, &name)];
    let what = format!("awaits for {} ms", milliseconds(hold.longest));
    accesses.push(describe::access(
        world,
        Act { role: "await", what: &what, strand, stack: hold.at, held: std::slice::from_ref(&held) },
    ));
    for (waiter, waiting, waited) in waiters.iter().take(MOST_WAITERS) {
        let what = format!("waits for {name}, {} ms of it behind this holder", milliseconds(*waited));
        accesses.push(describe::access(
            world,
            Act { role: "acquire", what: &what, strand: *waiter, stack: waiting.stack, held: &[] },
        ));
    }
    let longest = waiters.first().map_or(0, |(_, _, waited)| *waited);
    let others = if waiters.len() == 1 { "one task waits".to_owned() } else { format!("{} tasks wait", waiters.len()) };
    let draft = Draft {
        kind: Kind::LockHeldAcrossAwait,
        severity: Severity::Warning,
        evidence: Evidence::Observed,
        message: format!(
            "{} holds {name} over awaits that take {} ms while {others} for it",
            describe::name(world, strand),
            milliseconds(hold.total)
        ),
        accesses,
        why: Some(format!("told from {} ms on", milliseconds(long_hold(world)))),
        observed: Some(format!("{others}, the longest {} ms", milliseconds(longest))),
        help: format!("await first and take {name} only to store the result; for one result that all want, share one future"),
        subject: lock_subject(name),
    };
    let name = &draft.subject.name;
    let (takes, waits, lets_go) = (format!("acquire {name}"), format!("wait {name}"), format!("release {name}"));
    let scene = |access, what, strand, time| Scene { access, what, strand, time, held: &[] };
    let mut scenes = vec![
        scene(Some(0), &takes, strand, held.since),
        scene(Some(1), "suspend", strand, hold.since),
        scene(None, &lets_go, strand, now),
    ];
    let waiters = waiters.iter().take(MOST_WAITERS).zip(2..);
    scenes.extend(waiters.map(|((waiter, waiting, _), access)| scene(Some(access), &waits, *waiter, waiting.since)));
    Finding { timeline: picture::timeline(world, &scenes), ..finding(world, process, draft) }
}

fn describe_dropped(world: &World, record: &Record, name: &str, made: StackId, (file, line): (&str, u32)) -> Finding {
    let strand = world.strand_of(record);
    let mut stack = world.frames(record.process, made);
    let made_where_dropped = stack.first().is_some_and(|frame| frame.file == file && frame.line == line);
    if !file.is_empty() && !made_where_dropped {
        stack = vec![Frame { file: file.to_owned(), line, function: name.to_owned(), columns: None }];
    }
    let access = AccessReport {
        role: "create".to_owned(),
        what: Some("makes the coroutine, which nothing ever runs".to_owned()),
        strand: strand.map_or_else(
            || crate::finding::StrandReport {
                kind: "thread".to_owned(),
                name: "?".to_owned(),
                tid: record.thread.0,
                task: None,
                pid: None,
                process: None,
                started: Vec::new(),
            },
            |strand| world.strand_report(strand),
        ),
        stack,
        locks: Vec::new(),
    };
    let draft = Draft {
        kind: Kind::UnawaitedCoroutine,
        severity: Severity::Warning,
        evidence: Evidence::Observed,
        message: format!("the coroutine {name} is made here and dropped without ever having run"),
        accesses: vec![access],
        why: None,
        observed: None,
        help: format!(
            "await it, or hand it to asyncio.create_task; where it is only needed sometimes, pass {name} itself and call it when it is needed"
        ),
        subject: Subject { kind: "coroutine".to_owned(), name: name.to_owned() },
    };
    finding(world, record.process, draft)
}

#[cfg(test)]
mod tests;
