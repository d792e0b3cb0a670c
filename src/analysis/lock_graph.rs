//! The order in which strands nest locks, as a graph, and its cycles (Goodlock; Bensalem and Havelund 2005: gate locks,
//! distinct threads, segments that can overlap). It knows locks and strands by number only.

use rustc_hash::{FxHashMap, FxHashSet};

use super::clock::Stamp;
use super::lock::LockId;
use super::strand::StrandId;
use crate::event::StackId;

/// A strand took `to` while it held `from`.
#[derive(Debug, Clone)]
pub struct Edge {
    pub from: LockId,
    pub to: LockId,
    pub strand: StrandId,
    /// The OS thread that it ran on: tasks of one event loop share it.
    pub thread: StrandId,
    /// The strand gave way to others between the two acquisitions.
    pub suspended: bool,
    /// Other locks held at the time, sorted: a gate if another edge of a cycle has it too.
    pub gates: Vec<LockId>,
    pub from_stack: StackId,
    pub to_stack: StackId,
    pub at: Stamp,
}

/// Variants (strands, gates) that are kept of one nesting of two locks.
const VARIANTS: usize = 8;
/// Nestings that are kept; as in lockdep, beyond that nothing new is learnt.
const EDGES: usize = 16_384;
/// Longest cycle that is looked for, and steps that one search may take.
const LONGEST: usize = 8;
const STEPS: usize = 10_000;

#[derive(Debug, Default)]
pub struct LockGraph {
    edges: FxHashMap<(LockId, LockId), Vec<Edge>>,
    successors: FxHashMap<LockId, Vec<LockId>>,
    predecessors: FxHashMap<LockId, Vec<LockId>>,
    /// Cycles that were found, each as its sorted nestings.
    known: FxHashSet<Vec<(LockId, LockId)>>,
    count: usize,
    /// Nestings that were not taken in because there were too many.
    pub refused: u64,
}

impl LockGraph {
    /// Takes in one nesting, and returns the cycles that it closes.
    pub fn add(&mut self, edge: Edge) -> Vec<Vec<Edge>> {
        if !self.store(&edge) || !self.leads_back(&edge) {
            return Vec::new();
        }
        let mut search = Search { graph: self, goal: edge.from, path: vec![edge], found: Vec::new(), steps: 0 };
        search.run();
        let found = search.found;
        found.into_iter().filter(|cycle| self.known.insert(nestings(cycle))).collect()
    }

    /// The lock is gone.
    pub fn forget(&mut self, lock: LockId) {
        for next in self.successors.remove(&lock).unwrap_or_default() {
            self.unlink(lock, next);
        }
        for before in self.predecessors.remove(&lock).unwrap_or_default() {
            self.unlink(before, lock);
        }
    }

    fn unlink(&mut self, from: LockId, to: LockId) {
        if let Some(variants) = self.edges.remove(&(from, to)) {
            self.count -= variants.len();
        }
        remove(&mut self.successors, from, to);
        remove(&mut self.predecessors, to, from);
    }

    /// False if nothing was learnt: the same nesting by the same strand, and nothing synchronised since.
    fn store(&mut self, edge: &Edge) -> bool {
        let key = (edge.from, edge.to);
        if let Some(variants) = self.edges.get_mut(&key) {
            let same =
                |known: &&mut Edge| known.strand == edge.strand && known.gates == edge.gates && known.suspended == edge.suspended;
            if let Some(known) = variants.iter_mut().find(same) {
                let news = known.at.moment != edge.at.moment;
                *known = edge.clone();
                return news;
            }
            if variants.len() >= VARIANTS {
                // The last place is for the latest, so that long-lived graphs still see recent strands.
                variants.pop();
                self.count -= 1;
            }
            variants.push(edge.clone());
            self.count += 1;
            return true;
        }
        if self.count >= EDGES {
            self.refused += 1;
            return false;
        }
        self.count += 1;
        self.edges.insert(key, vec![edge.clone()]);
        self.successors.entry(edge.from).or_default().push(edge.to);
        self.predecessors.entry(edge.to).or_default().push(edge.from);
        true
    }

    /// The usual case, told quickly: nothing is ever taken inside `to`, or nothing around `from`.
    fn leads_back(&self, edge: &Edge) -> bool {
        self.successors.contains_key(&edge.to) && self.predecessors.contains_key(&edge.from)
    }
}

fn remove(links: &mut FxHashMap<LockId, Vec<LockId>>, at: LockId, gone: LockId) {
    if let Some(list) = links.get_mut(&at) {
        list.retain(|lock| *lock != gone);
        if list.is_empty() {
            links.remove(&at);
        }
    }
}

fn nestings(cycle: &[Edge]) -> Vec<(LockId, LockId)> {
    let mut all: Vec<(LockId, LockId)> = cycle.iter().map(|edge| (edge.from, edge.to)).collect();
    all.sort_unstable();
    all
}

/// A depth-first search for valid cycles through the first edge of `path`.
struct Search<'a> {
    graph: &'a LockGraph,
    goal: LockId,
    path: Vec<Edge>,
    found: Vec<Vec<Edge>>,
    steps: usize,
}

impl Search<'_> {
    fn run(&mut self) {
        let Some(here) = self.path.last().map(|edge| edge.to) else { return };
        let next = self.graph.successors.get(&here).map_or(&[] as &[LockId], Vec::as_slice);
        for to in next {
            let closes = *to == self.goal;
            if !closes && (self.path.len() + 1 >= LONGEST || self.path.iter().any(|edge| edge.from == *to)) {
                continue;
            }
            for candidate in self.graph.edges.get(&(here, *to)).map_or(&[] as &[Edge], Vec::as_slice) {
                self.steps += 1;
                if self.steps > STEPS {
                    return;
                }
                if !self.path.iter().all(|edge| can_overlap(edge, candidate)) {
                    continue;
                }
                self.path.push(candidate.clone());
                if closes && every_thread_gives_way(&self.path) {
                    self.found.push(self.path.clone());
                } else if !closes {
                    self.run();
                }
                self.path.pop();
            }
        }
    }
}

/// Can two strands be between their two acquisitions at the same time?
fn can_overlap(a: &Edge, b: &Edge) -> bool {
    a.strand != b.strand
        && !a.gates.iter().any(|gate| b.gates.binary_search(gate).is_ok())
        && !is_before(&a.at, &b.at)
        && !is_before(&b.at, &a.at)
}

fn is_before(a: &Stamp, b: &Stamp) -> bool {
    a.moment.chain == b.moment.chain || b.knowledge.hard().includes(a.moment)
}

/// Tasks of one loop can only stand in each other's way if one of them gives way while it holds its lock.
fn every_thread_gives_way(cycle: &[Edge]) -> bool {
    cycle.iter().all(|edge| {
        let mut same = cycle.iter().filter(|other| other.thread == edge.thread);
        same.clone().count() == 1 || same.any(|other| other.suspended)
    })
}
