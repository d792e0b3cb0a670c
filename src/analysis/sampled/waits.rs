//! Deadlocks: cycles of strands that wait for each other, seen twice while none of them has run in between. A wait with
//! a timeout ends by itself and makes no deadlock.

use std::collections::HashSet;

use super::describe::{access, holding, is_in_users_code, lock_name, name, place, sampled, waiting_for};
use super::{Findings, Seen, Who};
use crate::analysis::describe::Draft;
use crate::event::sample::{StrandState, Waits};
use crate::event::{ObjectId, Patience, StackId};
use crate::finding::{Evidence, Finding, Kind, Severity, Subject};

#[derive(Debug, Default)]
pub struct Waiting {
    told: HashSet<Vec<Who>>,
    /// Cycles of the sample before.
    before: Vec<Vec<(Who, ObjectId)>>,
    /// How often in a row a cycle among tasks only has been seen.
    lasting: u32,
    /// Since when every thread of the process waits for ever.
    standing: Option<u64>,
}

/// This long must all threads have stood still.
const STANDSTILL: u64 = 400_000_000;

/// Tasks give no sign of having run: a cycle that includes no thread must be seen this often.
const TASK_SIGHTINGS: u32 = 5;

/// `from` waits for something that `to` must do.
#[derive(Debug, Clone, Copy)]
struct Edge {
    to: usize,
    lock: Option<ObjectId>,
}

impl Waiting {
    pub fn look(&mut self, seen: &Seen<'_>, findings: &mut Findings) {
        let strands = &seen.sample.strands;
        let edges: Vec<Vec<Edge>> = strands.iter().map(|state| edges(strands, state)).collect();
        let mut found = Vec::new();
        for start in 0..strands.len() {
            if let Some(cycle) = cycle(&edges, start)
                && cycle.iter().min() == Some(&start)
            {
                found.push(cycle);
            }
        }
        let signatures: Vec<Vec<(Who, ObjectId)>> = found.iter().map(|cycle| signature(strands, cycle)).collect();
        self.lasting = if signatures.iter().any(|cycle| self.before.contains(cycle)) { self.lasting + 1 } else { 0 };
        for (cycle, signature) in found.iter().zip(&signatures) {
            let mut key: Vec<Who> = signature.iter().map(|(who, _)| *who).collect();
            key.sort_unstable();
            if self.before.contains(signature) && self.is_stuck(strands, cycle) && self.told.insert(key) {
                findings.add(describe_cycle(seen, &edges, cycle));
            }
        }
        self.before = signatures;
        self.standstill(seen, findings);
    }

    /// Every thread of the process waits for ever: a lock that one of them waits for has nobody left to release it.
    fn standstill(&mut self, seen: &Seen<'_>, findings: &mut Findings) {
        let strands = &seen.sample.strands;
        let waits = |state: &&StrandState| {
            matches!(state.waits, Waits::Lock { patience: Patience::Forever, .. } | Waits::Thread(_)) && state.still
        };
        let all = strands.iter().filter(waits).count() as u64 == u64::from(seen.sample.seen);
        let since = *self.standing.get_or_insert(seen.time);
        if !all || seen.sample.unread > 0 {
            self.standing = None;
        } else if seen.time.saturating_sub(since) >= STANDSTILL {
            let is_mutex = |state: &&StrandState| matches!(state.waits, Waits::Lock { mutex: true, .. });
            for state in strands.iter().filter(is_mutex).filter(|state| is_in_users_code(seen, state.stack)) {
                let Waits::Lock { lock, .. } = state.waits else { continue };
                let held = strands.iter().any(|other| other.holds.iter().any(|hold| hold.lock == lock));
                if !held && self.told.insert(vec![Who::of(state)]) {
                    findings.add(abandoned(seen, state, lock));
                }
            }
        }
    }

    /// Has nobody in the cycle run since the sample before?
    fn is_stuck(&self, strands: &[StrandState], cycle: &[usize]) -> bool {
        let members = || cycle.iter().filter_map(|&index| strands.get(index));
        let threads_still = members().filter(|state| state.task.is_none()).all(|state| state.still);
        let tasks_still = members().filter(|state| state.task.is_some()).all(|state| state.still);
        let some_thread = members().any(|state| state.task.is_none());
        threads_still && tasks_still && (some_thread || self.lasting >= TASK_SIGHTINGS)
    }
}

fn edges(strands: &[StrandState], state: &StrandState) -> Vec<Edge> {
    let index_of = |wanted: &dyn Fn(&StrandState) -> bool| strands.iter().position(wanted);
    match state.waits {
        Waits::Lock { lock, patience: Patience::Forever, .. } => strands
            .iter()
            .enumerate()
            .filter(|(_, other)| other.holds.iter().any(|hold| hold.lock == lock))
            .map(|(to, _)| Edge { to, lock: Some(lock) })
            .collect(),
        Waits::Thread(tid) => {
            index_of(&|other| other.task.is_none() && other.thread == tid).map(|to| Edge { to, lock: None }).into_iter().collect()
        }
        Waits::Task(task) => index_of(&|other| other.task == Some(task)).map(|to| Edge { to, lock: None }).into_iter().collect(),
        // A suspended task goes on only when the thread of its loop does.
        Waits::Nothing | Waits::Lock { .. } => Vec::new(),
    }
    .into_iter()
    .chain(state.task.and_then(|_| blocked_loop(strands, state)))
    .collect()
}

/// The thread of a task's loop, if it waits for a lock for ever.
fn blocked_loop(strands: &[StrandState], task: &StrandState) -> Option<Edge> {
    let is_blocked = |state: &StrandState| {
        state.task.is_none()
            && state.thread == task.thread
            && matches!(state.waits, Waits::Lock { patience: Patience::Forever, by_task: false, .. })
    };
    strands.iter().position(is_blocked).map(|to| Edge { to, lock: None })
}

/// The shortest cycle through `start`.
fn cycle(edges: &[Vec<Edge>], start: usize) -> Option<Vec<usize>> {
    let mut reached: Vec<(usize, Option<usize>)> = vec![(start, None)];
    let mut next = 0;
    while let Some(&(at, _)) = reached.get(next) {
        for edge in edges.get(at)? {
            if edge.to == start {
                let mut way = Vec::new();
                let mut step = Some(next);
                while let Some(&(index, from)) = step.and_then(|step| reached.get(step)) {
                    way.push(index);
                    step = from;
                }
                way.reverse();
                return Some(way);
            }
            if !reached.iter().any(|(known, _)| *known == edge.to) {
                reached.push((edge.to, Some(next)));
            }
        }
        next += 1;
    }
    None
}

fn signature(strands: &[StrandState], cycle: &[usize]) -> Vec<(Who, ObjectId)> {
    let waited = |state: &StrandState| match state.waits {
        Waits::Lock { lock, .. } => lock,
        _ => ObjectId(0),
    };
    cycle.iter().filter_map(|&index| strands.get(index)).map(|state| (Who::of(state), waited(state))).collect()
}

fn abandoned(seen: &Seen<'_>, state: &StrandState, lock: ObjectId) -> Finding {
    let called = lock_name(seen, lock);
    let observed =
        format!("{} waits at {} for {called}, and all other threads wait too", name(seen, state), place(seen, state.stack));
    let draft = Draft {
        kind: Kind::Deadlock,
        severity: Severity::Error,
        evidence: Evidence::Observed,
        message: format!("deadlock on {called}: {} waits for it, and nobody is left to release it", name(seen, state)),
        observed: Some(observed),
        why: Some("whoever took it has ended, or is gone from where it took it, without releasing it".to_owned()),
        help: format!("release {called} whatever happens: take it with a `with` block instead of acquire() and release()"),
        accesses: vec![waiting_for(seen, state, lock)],
        subject: Subject { kind: "locks".to_owned(), name: called },
    };
    sampled(seen, draft)
}

fn describe_cycle(seen: &Seen<'_>, edges: &[Vec<Edge>], cycle: &[usize]) -> Finding {
    let mut names: Vec<String> = Vec::new();
    let mut members: Vec<String> = Vec::new();
    let mut accesses = Vec::new();
    let mut sentences = Vec::new();
    let around = |position: usize| cycle.get(position % cycle.len()).copied();
    let edge = |from: usize, to: usize| edges.get(from)?.iter().find(|edge| edge.to == to);
    for (position, &index) in cycle.iter().enumerate() {
        let Some(state) = seen.sample.strands.get(index) else { continue };
        let (before, following) = (around(position + cycle.len() - 1), around(position + 1).unwrap_or(index));
        members.push(name(seen, state));
        let wanted = before.and_then(|before| edge(before, index)?.lock);
        let held = state.holds.iter().find(|hold| Some(hold.lock) == wanted && hold.stack != StackId::default());
        accesses.extend(held.map(|hold| holding(seen, state, hold)));
        let other = seen.sample.strands.get(following).map_or_else(String::new, |other| name(seen, other));
        let Some(lock) = edge(index, following).and_then(|edge| edge.lock) else {
            sentences.push(format!("{} cannot go on before {other}", name(seen, state)));
            accesses.push(access(seen, "await", &format!("waits for {other}"), state, state.stack));
            continue;
        };
        let lock_called = lock_name(seen, lock);
        accesses.push(waiting_for(seen, state, lock));
        let holder = if following == index { "itself" } else { &other };
        let place = place(seen, state.stack);
        sentences.push(format!("{} waits at {place} for {lock_called}, held by {holder}", name(seen, state)));
        names.push(lock_called);
    }
    names.sort();
    names.dedup_by(|a, b| a == b && !a.contains('.'));
    let what = if cycle.len() == 1 { "waits for what it holds itself" } else { "wait for each other" };
    sampled(
        seen,
        Draft {
            kind: Kind::Deadlock,
            severity: Severity::Error,
            evidence: Evidence::Observed,
            message: format!("deadlock on {}: {} {what}", names.join(" and "), members.join(" and ")),
            observed: Some(sentences.join("; ")),
            why: Some("none of them can go on: each waits without a timeout for what the next one holds".to_owned()),
            help: help(cycle.len()),
            subject: Subject { kind: "locks".to_owned(), name: names.join(",") },
            accesses,
        },
    )
}

fn help(members: usize) -> String {
    if members == 1 {
        "use threading.RLock if the same thread must take the lock again, or call a variant of the function that expects the lock \
         to be held"
            .to_owned()
    } else {
        "take the locks in the same order everywhere, or take one lock for both; to get the process going again it has to be \
         restarted"
            .to_owned()
    }
}
