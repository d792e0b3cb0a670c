//! `lock-order-inversion`: locks that strands nest in a cycle, although nothing hung in this run. Which nestings count is
//! decided here, cycles are found by [`super::lock_graph`]; it does not look at waits.

use rustc_hash::FxHashMap;

use super::Detector;
use super::describe::{self, Act, Draft, finding};
use super::findings::Findings;
use super::interleaving;
use super::lock::{Held, LockId};
use super::lock_graph::{Edge, LockGraph};
use super::naming;
use super::options::Origin;
use super::strand::StrandId;
use super::twins::{Nesting, Twins};
use super::world::World;
use crate::event::{Event, LockKind, Patience, Record};
use crate::finding::{Evidence, Finding, Kind, Severity};

/// Acquisitions of which it is remembered inside of what they were decided.
const DECIDED: usize = 4096;
/// Told cycles that can be withdrawn.
const TOLD: usize = 1024;

#[derive(Debug, Default)]
pub struct LockOrder {
    graph: LockGraph,
    twins: Twins,
    /// How often a task had given way to its loop when it asked for a lock that it now holds, by acquisition.
    turns: FxHashMap<u64, u64>,
    /// Locks inside of which it was decided whether to take another one that is still held, by its acquisition.
    decided: FxHashMap<u64, Vec<LockId>>,
    /// How often a task had given way when it asked for the lock that it waits for.
    asked: FxHashMap<StrandId, (LockId, u64)>,
    /// Cycles that were told, with their findings.
    told: Vec<(String, Vec<LockId>)>,
}

impl Detector for LockOrder {
    fn record(&mut self, world: &World, record: &Record, findings: &mut Findings) {
        match &record.event {
            Event::LockNew { lock, stack, kind } if *kind != LockKind::File => {
                if let (Some(lock), Some(strand)) = (world.lock_of(record.process, *lock), world.strand_of(record)) {
                    self.twins.made(world, strand, lock, record.process, *stack);
                }
            }
            Event::LockWait { lock, .. } => {
                if let (Some(lock), Some(strand)) = (world.lock_of(record.process, *lock), world.strand_of(record))
                    && let Some(state) = world.strand(strand).filter(|state| state.task.is_some())
                {
                    self.asked.insert(strand, (lock, state.turns));
                }
            }
            Event::LockAcquired { lock, patience, .. } => {
                if let (Some(lock), Some(strand)) = (world.lock_of(record.process, *lock), world.strand_of(record)) {
                    self.acquired(world, strand, lock, *patience, findings);
                }
            }
            Event::LockReleased { lock, .. } => {
                if let (Some(lock), Some(strand)) = (world.lock_of(record.process, *lock), world.strand_of(record)) {
                    self.released(world, strand, lock, findings);
                }
            }
            Event::ObjectEnd { id } => {
                if let Some(lock) = world.lock_of(record.process, *id) {
                    self.graph.forget(lock);
                    self.twins.forget(lock);
                }
            }
            Event::TaskEnd { task } => self.forget(world.task(record.process, *task)),
            Event::ThreadEnd => self.forget(world.thread(record.process, record.thread)),
            Event::Gap { .. } | Event::Settled | Event::ProcessEnd { .. } => {
                self.turns.clear();
                self.decided.clear();
                self.asked.clear();
            }
            _ => {}
        }
    }
}

impl LockOrder {
    /// The strand ends.
    fn forget(&mut self, strand: Option<StrandId>) {
        if let Some(strand) = strand {
            self.asked.remove(&strand);
            self.twins.forget_strand(strand);
        }
    }

    /// By whoever holds it, or by another for him: then it keeps nobody out who waits for its holder.
    fn released(&mut self, world: &World, strand: StrandId, lock: LockId, findings: &mut Findings) {
        let holders = world.lock(lock).map_or(&[][..], |lock| &lock.holders);
        if !holders.is_empty() && !holders.contains(&strand) {
            self.withdraw(lock, findings);
        }
        let own = |held: &&Held| held.lock == lock && held.again == 0;
        for held in holders.iter().flat_map(|holder| world.held(*holder)).filter(own) {
            self.turns.remove(&held.acquisition);
            self.decided.remove(&held.acquisition);
        }
    }

    /// The lock has turned out to be a signal.
    fn withdraw(&mut self, lock: LockId, findings: &mut Findings) {
        self.told.retain(|(fingerprint, locks)| {
            let stays = !locks.contains(&lock);
            if !stays {
                findings.withdraw(fingerprint);
            }
            stays
        });
    }

    fn acquired(&mut self, world: &World, strand: StrandId, lock: LockId, patience: Patience, findings: &mut Findings) {
        let Some(state) = world.strand(strand) else { return };
        let asked = self.asked.remove(&strand).filter(|(for_lock, _)| *for_lock == lock);
        let asked = asked.map_or(state.turns, |(_, turns)| turns);
        let Some((newest, held)) = state.held.split_last().filter(|(newest, _)| newest.lock == lock && newest.again == 0) else {
            return;
        };
        if state.task.is_some() {
            self.turns.insert(newest.acquisition, asked);
        }
        let site = world.site(state.process, newest.stack);
        if !held.is_empty() && site.is_some_and(|site| site.decided) && self.decided.len() < DECIDED {
            self.decided.insert(newest.acquisition, held.iter().map(|held| held.lock).collect());
        }
        // A try, or a wait with a timeout, gives up instead of hanging.
        if patience != Patience::Forever {
            return;
        }
        for outer in held.iter().filter(|outer| outer.lock != lock) {
            // The first reader takes the lock for all, the last gives it back: who holds it for the readers is never
            // waited for inside of what counts them.
            if self.decided.get(&outer.acquisition).is_some_and(|inside| inside.contains(&lock)) {
                continue;
            }
            if let Some(edge) = self.edge(world, strand, outer, newest, asked) {
                if let Some(pair) = self.twins.nested(world, &edge) {
                    self.tell_twins(world, &pair, findings);
                }
                for cycle in self.graph.add(edge) {
                    self.tell(world, &cycle, findings);
                }
            }
        }
    }

    fn edge(&self, world: &World, strand: StrandId, outer: &Held, inner: &Held, asked: u64) -> Option<Edge> {
        let state = world.strand(strand)?;
        if !keeps_out(world, outer.lock) || !keeps_out(world, inner.lock) {
            return None;
        }
        let mut gates: Vec<LockId> =
            state.held.iter().map(|held| held.lock).filter(|gate| *gate != outer.lock && *gate != inner.lock).collect();
        gates.sort_unstable();
        Some(Edge {
            from: outer.lock,
            to: inner.lock,
            strand,
            thread: world.home(strand).unwrap_or(strand),
            suspended: self.turns.get(&outer.acquisition).is_some_and(|turns| *turns != asked),
            gates,
            from_stack: outer.stack,
            to_stack: inner.stack,
            at: state.clock.peek(),
        })
    }

    fn tell(&mut self, world: &World, cycle: &[Edge], findings: &mut Findings) {
        // A lock can turn out to be a signal after it was nested; an order of the library's own locks is its own affair.
        let signals = cycle.iter().any(|edge| !keeps_out(world, edge.from));
        if signals || !cycle.iter().any(|edge| is_users(world, edge)) {
            return;
        }
        self.add(describe_cycle(world, cycle, None), cycle, findings);
    }

    fn tell_twins(&mut self, world: &World, pair: &[Nesting; 2], findings: &mut Findings) {
        let edges: Vec<Edge> = pair.iter().map(|nesting| nesting.edge.clone()).collect();
        if edges.iter().any(|edge| is_users(world, edge)) {
            let why = "seen on two objects of one class: the same order on one and the same object would hang";
            self.add(describe_cycle(world, &edges, Some(why.to_owned())), &edges, findings);
        }
    }

    fn add(&mut self, finding: Finding, cycle: &[Edge], findings: &mut Findings) {
        if self.told.len() < TOLD {
            self.told.push((finding.fingerprint.clone(), cycle.iter().map(|edge| edge.from).collect()));
        }
        findings.add(finding);
    }
}

fn keeps_out(world: &World, lock: LockId) -> bool {
    world.lock(lock).is_some_and(|lock| lock.excludes() && lock.kind != LockKind::File) && !describe::is_internal(world, lock)
}

/// One of its two acquisitions is made by the user's own code.
fn is_users(world: &World, edge: &Edge) -> bool {
    let process = describe::process_of(world, edge.strand);
    [edge.from_stack, edge.to_stack].iter().any(|stack| describe::acts_for(world, process, *stack) == Some(Origin::User))
}

fn describe_cycle(world: &World, cycle: &[Edge], why: Option<String>) -> Finding {
    let mut accesses = Vec::new();
    let mut clauses = Vec::new();
    for edge in cycle {
        let (from, to) = (naming::lock(world, edge.from), naming::lock(world, edge.to));
        let held = world.held(edge.strand);
        let what = format!("acquires {from}");
        accesses.push(describe::access(
            world,
            Act { role: "hold", what: &what, strand: edge.strand, stack: edge.from_stack, held: &[] },
        ));
        let what = format!("acquires {to} while holding {from}");
        let mut inner =
            describe::access(world, Act { role: "acquire", what: &what, strand: edge.strand, stack: edge.to_stack, held: &[] });
        let process = describe::process_of(world, edge.strand);
        inner.locks = vec![naming::lock_report(world, edge.from, process, edge.from_stack)];
        inner.locks.extend(describe::lock_reports(world, process, &gates_of(held, edge)));
        accesses.push(inner);
        clauses.push(format!("{} takes {to} while it holds {from}", describe::name(world, edge.strand)));
    }
    let first = cycle.first();
    let process = first.map_or(crate::event::ProcessId(0), |edge| describe::process_of(world, edge.strand));
    let draft = Draft {
        kind: Kind::LockOrderInversion,
        severity: Severity::Warning,
        evidence: Evidence::Possible,
        subject: describe::lock_names(world, cycle.iter().map(|edge| edge.from)),
        message: format!("{}: when these meet, they wait for each other for ever", clauses.join("; ")),
        accesses,
        why,
        observed: None,
        help: help(world, cycle),
    };
    let takes: Vec<_> = cycle.iter().map(|edge| format!("takes {}", naming::lock(world, edge.from))).collect();
    let waits: Vec<_> = cycle.iter().map(|edge| format!("waits for {}, for ever", naming::lock(world, edge.to))).collect();
    let taken = cycle.iter().zip(&takes).enumerate().map(|(at, (edge, what))| (2 * at, edge.strand, what.as_str()));
    let waiting = cycle.iter().zip(&waits).enumerate().map(|(at, (edge, what))| (2 * at + 1, edge.strand, what.as_str()));
    let several = cycle.iter().enumerate().all(|(at, edge)| cycle.iter().skip(at + 1).all(|other| other.strand != edge.strand));
    let steps: Vec<_> = taken.chain(waiting).filter(|_| several).collect();
    let interleaving = interleaving::turns(world, &steps);
    Finding { interleaving, ..finding(world, process, draft) }
}

fn gates_of(held: &[Held], edge: &Edge) -> Vec<Held> {
    held.iter().filter(|held| edge.gates.contains(&held.lock)).copied().collect()
}

fn help(world: &World, cycle: &[Edge]) -> String {
    let mut names: Vec<String> = cycle.iter().map(|edge| naming::lock(world, edge.from)).collect();
    names.sort();
    names.dedup();
    match names.as_slice() {
        [one] => format!(
            "take the locks of two objects in an order that does not depend on the caller, for example sorted by id, whenever two {one} are nested"
        ),
        several => format!("take {} in the same order everywhere, for example in this one", several.join(", ")),
    }
}

#[cfg(test)]
mod tests;
