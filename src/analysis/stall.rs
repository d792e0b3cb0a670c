//! `deadlock` where no cycle of locks shows: every thread of a process waits without limit for another (the end of a
//! thread, an event, a queue, a result), so that nobody is left to wake one. Whether the process really stands still is
//! for whoever can look at it to say; cycles are [`super::deadlock`]'s.

use super::describe::{self, Act, Draft, finding};
use super::naming;
use super::options::Origin;
use super::strand::{Strand, StrandId};
use super::world::World;
use crate::event::{Awaited, Patience, ProcessId, StackId};
use crate::finding::{AccessReport, Evidence, Finding, Kind, Severity, Subject};

/// Nanoseconds that all have to have waited.
const GRACE: u64 = 1_000_000_000;
/// Threads that a finding shows.
const SHOWN: usize = 6;

/// A thread that waits without limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stuck {
    strand: StrandId,
    stack: StackId,
    since: u64,
}

/// All threads of a process, if each of them has long been waiting without limit.
pub fn stuck(world: &World, process: ProcessId, now: u64) -> Option<Vec<Stuck>> {
    let state = world.process(process).filter(|process| process.ended.is_none())?;
    let to_come = state.tokens.values().any(|token| token.start.is_some() && token.strand.is_none());
    if to_come || state.threads.len() < 2 {
        return None;
    }
    let mut all: Vec<Stuck> = state.threads.values().map(|thread| wait_of(world, thread.current)).collect::<Option<_>>()?;
    all.sort_by_key(|stuck| stuck.strand);
    all.iter().all(|stuck| now.saturating_sub(stuck.since) >= GRACE).then_some(all)
}

fn wait_of(world: &World, id: StrandId) -> Option<Stuck> {
    let strand = world.strand(id)?;
    if let Some(blocked) = strand.blocked {
        return Some(Stuck { strand: id, stack: blocked.stack, since: blocked.since });
    }
    let waiting = strand.waiting.filter(|waiting| waiting.patience == Patience::Forever)?;
    let blocks = world.lock(waiting.lock).is_some_and(|lock| !lock.is_async());
    blocks.then_some(Stuck { strand: id, stack: waiting.stack, since: waiting.since })
}

/// The finding; `None` where no line of the user's own waits, or where a single wait may be how the program idles.
pub fn describe(world: &World, process: ProcessId, stuck: &[Stuck]) -> Option<Finding> {
    if !stuck.iter().any(|stuck| describe::touches_user_code(world, process, stuck.stack)) {
        return None;
    }
    let clauses: Vec<String> = stuck
        .iter()
        .take(SHOWN)
        .map(|stuck| format!("{} waits in {}", describe::name(world, stuck.strand), waits_in(world, process, stuck)))
        .collect();
    let accesses = stuck.iter().take(SHOWN).map(|stuck| wait_access(world, process, stuck)).collect();
    let more = stuck.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!("; {more} more threads wait too") } else { String::new() };
    let pool = in_pool(world, process, stuck);
    let draft = Draft {
        kind: Kind::Deadlock,
        severity: Severity::Error,
        evidence: Evidence::Observed,
        subject: subject(world, process, stuck),
        message: format!("every thread waits for another, and none is left to wake one: {}{more}", clauses.join("; ")),
        accesses,
        why: pool.then(|| "the workers of a pool wait for results that only a free worker could make".to_owned()),
        observed: Some("the process hung here".to_owned()),
        help: help(pool).to_owned(),
    };
    Some(finding(world, process, draft))
}

fn wait_access(world: &World, process: ProcessId, stuck: &Stuck) -> AccessReport {
    let what = format!("waits in {}", waits_in(world, process, stuck));
    let held = world.held(stuck.strand);
    describe::access(world, Act { role: "wait", what: &what, strand: stuck.strand, stack: stuck.stack, held })
}

/// `Event.wait`, `Queue.get`, `Thread.join of thread T1`: the function of the library that the program has called.
fn waits_in(world: &World, process: ProcessId, stuck: &Stuck) -> String {
    let state = world.strand(stuck.strand);
    if let Some(on) = state.and_then(|state| state.blocked).map(|blocked| blocked.on) {
        return match on {
            Awaited::Thread(token) => match world.process(process).and_then(|process| process.tokens.get(&token)?.strand) {
                Some(other) => format!("Thread.join for {}", describe::name(world, other)),
                None => "Thread.join".to_owned(),
            },
            Awaited::Threads => "the interpreter's end for all other threads".to_owned(),
            Awaited::Channel(_) => called(world, process, stuck.stack).unwrap_or_else(|| "SimpleQueue.get".to_owned()),
        };
    }
    let lock = state.and_then(|state: &Strand| state.waiting).map(|waiting| waiting.lock);
    match lock.filter(|lock| !describe::is_internal(world, *lock)) {
        Some(lock) => naming::lock(world, lock),
        None => called(world, process, stuck.stack).unwrap_or_else(|| "a lock".to_owned()),
    }
}

/// The function of the standard library that the program's own code called.
fn called(world: &World, process: ProcessId, stack: StackId) -> Option<String> {
    let definitions = world.definitions(process)?;
    let sites = definitions.walk(stack).filter_map(|(_, entry)| definitions.site(entry.site));
    let library = sites.take_while(|site| site.origin == Origin::Standard).last()?;
    Some(definitions.code(library.code)?.info.code.qualname.clone())
}

/// What the program's own lines wait for, as they call it.
fn subject(world: &World, process: ProcessId, stuck: &[Stuck]) -> Subject {
    let mut names: Vec<String> = stuck.iter().filter_map(|stuck| naming::waited_for(world, process, stuck.stack)).collect();
    names.sort();
    names.dedup();
    let name = if names.is_empty() { "all threads".to_owned() } else { names.join(",") };
    Subject { kind: "locks".to_owned(), name }
}

/// Does a worker of a pool wait for a result?
fn in_pool(world: &World, process: ProcessId, stuck: &[Stuck]) -> bool {
    let Some(definitions) = world.definitions(process) else { return false };
    stuck.iter().any(|stuck| {
        let has = |module: &str, name: &str| {
            definitions.walk(stuck.stack).any(|(_, entry)| {
                let code = definitions.site(entry.site).and_then(|site| definitions.code(site.code));
                code.is_some_and(|code| code.info.module == module && code.info.code.name == name)
            })
        };
        has("concurrent.futures.thread", "_worker") && has("concurrent.futures._base", "result")
    })
}

fn help(pool: bool) -> &'static str {
    if pool {
        "do not wait for a result inside a job of the same pool: return the future, use a second pool, or do the inner work in place"
    } else {
        "make sure that whoever is waited for can go on: release locks before join() and result(), set events and put the last item into queues whatever happens, or wait with a timeout"
    }
}
