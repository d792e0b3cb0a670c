//! A cycle of waits in words: who holds what, who waits for it, and what helps. Whether it is one was decided before.

use super::super::describe::{self, Act, Draft, finding};
use super::super::lock::LockId;
use super::super::naming;
use super::super::picture::{self, Scene};
use super::super::strand::StrandId;
use super::super::wait_graph::{Link, Need};
use super::super::world::World;
use crate::event::ProcessId;
use crate::finding::{Evidence, Finding, Kind, Severity, Subject};

pub(super) fn describe(world: &World, cycle: &[Link]) -> Finding {
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
