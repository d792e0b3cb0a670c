//! Lock orders that contradict each other: at one moment each thread of a ring was about to take a lock that the next one
//! takes first, and nothing but those locks could keep them from getting there together. Orders that were seen at
//! different moments are not compared: the threads might never meet.

use super::describe::{is_in_users_code, lock_name, name, place, sampled, strand};
use super::sightings::Sightings;
use super::{Findings, Seen};
use crate::analysis::describe::Draft;
use crate::event::sample::{Hold, Nesting, StrandState, Waits};
use crate::event::{ObjectId, StackId};
use crate::finding::{AccessReport, Evidence, Finding, Kind, LockReport, Severity, Subject};

#[derive(Debug, Default)]
pub struct Inversions {
    /// Of rings, by where their locks are taken.
    seen: Sightings<Vec<StackId>>,
}

/// Longer rings are not looked for.
const LONGEST: usize = 4;
const MOST_EDGES: usize = 64;

/// A strand takes one lock inside another.
#[derive(Clone, Copy)]
struct Edge<'a> {
    state: &'a StrandState,
    nesting: &'a Nesting,
}

impl Inversions {
    pub fn look(&mut self, seen: &Seen<'_>, findings: &mut Findings) {
        let threads = seen.sample.strands.iter().filter(|state| state.task.is_none());
        let edges = threads.flat_map(|state| state.nestings.iter().map(move |nesting| Edge { state, nesting }));
        let edges: Vec<Edge<'_>> =
            edges.filter(|edge| is_in_users_code(seen, edge.nesting.outer.stack)).take(MOST_EDGES).collect();
        for start in 0..edges.len() {
            // The first of a ring in the order of the list begins it.
            let ring = ring(&edges, &mut vec![start]);
            // When all of them wait already it is a deadlock, which others tell.
            if let Some(ring) = ring.filter(|ring| !ring.iter().all(waits)) {
                self.tell(seen, &ring, findings);
            }
        }
    }

    fn tell(&mut self, seen: &Seen<'_>, ring: &[Edge<'_>], findings: &mut Findings) {
        let mut key: Vec<StackId> = ring.iter().map(|edge| edge.nesting.inner.stack).collect();
        key.sort_unstable();
        if self.seen.are_enough(key, seen.time) {
            findings.add(finding(seen, ring));
        }
    }
}

/// The shortest ring that goes on from `way`, of edges behind its first one.
fn ring<'a>(edges: &[Edge<'a>], way: &mut Vec<usize>) -> Option<Vec<Edge<'a>>> {
    let members: Vec<Edge<'a>> = way.iter().filter_map(|index| edges.get(*index).copied()).collect();
    let (first, last) = (members.first()?, members.last()?);
    if members.len() > 1 && last.nesting.inner.lock == first.nesting.outer.lock {
        return Some(members);
    }
    if members.len() >= LONGEST {
        return None;
    }
    for (index, next) in edges.iter().enumerate().skip(*way.first()? + 1) {
        let follows = next.nesting.outer.lock == last.nesting.inner.lock;
        if follows && members.iter().all(|member| can_meet(member, next)) {
            way.push(index);
            let found = ring(edges, way);
            way.pop();
            if found.is_some() {
                return found;
            }
        }
    }
    None
}

fn waits(edge: &Edge<'_>) -> bool {
    matches!(edge.state.waits, Waits::Lock { lock, .. } if lock == edge.nesting.inner.lock)
}

/// Can two threads both be where they hold the outer lock and want the inner one? Not if they hold the same lock by then.
fn can_meet(one: &Edge<'_>, other: &Edge<'_>) -> bool {
    let held =
        |edge: &Edge<'_>| -> Vec<ObjectId> { edge.nesting.gates.iter().copied().chain([edge.nesting.outer.lock]).collect() };
    let others = held(other);
    one.state.thread != other.state.thread && !held(one).iter().any(|lock| others.contains(lock))
}

fn finding(seen: &Seen<'_>, ring: &[Edge<'_>]) -> Finding {
    let mut accesses = Vec::new();
    let (mut clauses, mut sights) = (Vec::new(), Vec::new());
    for Edge { state, nesting } in ring {
        let (outer, inner) = (lock_name(seen, nesting.outer.lock), lock_name(seen, nesting.inner.lock));
        accesses.push(taking(seen, "hold", format!("acquires {outer}"), state, &nesting.outer, &[]));
        let held: Vec<ObjectId> = [nesting.outer.lock].into_iter().chain(nesting.gates.iter().copied()).collect();
        accesses.push(taking(seen, "acquire", format!("acquires {inner} while holding {outer}"), state, &nesting.inner, &held));
        clauses.push(format!("{} takes {inner} while it holds {outer}", name(seen, state)));
        sights.push(format!("{} was at {}", name(seen, state), place(seen, state.stack)));
    }
    let mut names: Vec<String> = ring.iter().map(|edge| lock_name(seen, edge.nesting.outer.lock)).collect();
    names.sort();
    let subject = names.join(",");
    names.dedup();
    let help = match names.as_slice() {
        [one] => {
            format!("take the locks of two objects in an order that does not depend on the caller whenever two {one} are nested")
        }
        several => format!("take {} in the same order everywhere, for example in this one", several.join(", ")),
    };
    let draft = Draft {
        kind: Kind::LockOrderInversion,
        severity: Severity::Warning,
        evidence: Evidence::Possible,
        subject: Subject { kind: "locks".to_owned(), name: subject },
        message: format!("{}: when these meet, they wait for each other for ever", clauses.join("; ")),
        accesses,
        why: Some("nothing but these locks lay in front of any of them".to_owned()),
        observed: Some(format!("at one moment {}", sights.join(", and "))),
        help,
    };
    sampled(seen, draft)
}

/// An acquisition, with the locks that are held by then.
fn taking(seen: &Seen<'_>, role: &str, what: String, state: &StrandState, taken: &Hold, held: &[ObjectId]) -> AccessReport {
    AccessReport {
        role: role.to_owned(),
        what: Some(what),
        strand: strand(seen, state),
        stack: seen.world.frames(seen.process, taken.stack),
        locks: held.iter().map(|lock| LockReport { name: lock_name(seen, *lock), created: None, acquired: None }).collect(),
    }
}
