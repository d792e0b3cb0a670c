//! Loops over containers, and the changes that land in them: the bookkeeping of `mutation-during-iteration`, and its
//! verdicts. It knows no names and makes no reports.

use rustc_hash::FxHashMap;

use super::clock::{Moment, Stamp};
use super::point::Point;
use super::strand::StrandId;
use crate::event::{FrameId, ObjectId, ProcessId, StackId};

/// Object ids hold within one process only.
pub type ObjectKey = (ProcessId, ObjectId);

/// What a change does to the container that is walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Elements come at the end of a list: the loop meets them too, none is skipped.
    Appends,
    /// Elements come, go or move.
    Resizes,
    /// May add something, or leave everything as it was (`setdefault`, `update`, `set.add`).
    MayResize,
}

#[derive(Debug, Clone)]
pub struct Change {
    pub point: Point,
    pub effect: Effect,
}

/// One loop from its beginning to where it last asked for an element.
#[derive(Debug, Clone)]
pub struct Walk {
    pub object: ObjectKey,
    pub frame: FrameId,
    pub begun: Point,
    pub asked: Point,
    pub steps: u64,
    /// An iterator that compares sizes and nothing else (dict, set); others count positions or every change.
    by_size: bool,
    length: Option<u64>,
    changes: Vec<Change>,
    told: bool,
}

/// A change that landed in a loop, or can.
#[derive(Debug, Clone)]
pub struct Verdict {
    pub walk: Walk,
    pub change: Change,
    /// The loop went on after the change, in this run.
    pub observed: bool,
}

impl Verdict {
    pub fn own(&self) -> bool {
        self.walk.begun.strand == self.change.point.strand
    }
}

/// How a loop begins.
#[derive(Debug, Clone)]
pub struct Beginning {
    pub frame: FrameId,
    pub by_size: bool,
    pub length: Option<u64>,
    pub point: Point,
}

#[derive(Debug, Default)]
struct Container {
    open: Vec<u64>,
    /// Loops that are over: the last of each strand and site.
    past: Vec<Walk>,
    /// The last change of each strand and site.
    changes: Vec<Change>,
    first: Option<Stamp>,
}

/// Loops and changes that are remembered of one container.
const REMEMBERED: usize = 8;
/// Containers whose changes are remembered.
const CONTAINERS: usize = 100_000;
/// Loops of one container that are open at once.
const OPEN: usize = 32;

#[derive(Debug, Default)]
pub struct Walks {
    containers: FxHashMap<ObjectKey, Container>,
    walks: FxHashMap<(ProcessId, u64), Walk>,
}

impl Walks {
    pub fn begin(&mut self, object: ObjectKey, iterator: u64, new: Beginning) {
        let Beginning { frame, by_size, length, point } = new;
        self.end(object.0, iterator);
        let container = self.containers.entry(object).or_default();
        container.first.get_or_insert_with(|| point.at.clone());
        // The same loop of the same activation begins anew: it was left before its end.
        let walks = &mut self.walks;
        let left = |walk: &Walk| walk.frame == frame && walk.begun.stack == point.stack && walk.begun.strand == point.strand;
        let stale = container.open.iter().position(|open| walks.get(&(object.0, *open)).is_none_or(left));
        let oldest = (container.open.len() >= OPEN).then_some(0);
        if let Some(at) = stale.or(oldest) {
            let gone = container.open.remove(at);
            if let Some(walk) = walks.remove(&(object.0, gone)) {
                keep(&mut container.past, walk, same_loop);
            }
        }
        container.open.push(iterator);
        let asked = point.clone();
        let walk = Walk { object, frame, begun: point, asked, steps: 0, by_size, length, changes: Vec::new(), told: false };
        walks.insert((object.0, iterator), walk);
    }

    /// The loop asks for another element: changes since its beginning show now.
    pub fn next(&mut self, process: ProcessId, iterator: u64, length: Option<u64>, point: Point) -> Option<Verdict> {
        let walk = self.walks.get_mut(&(process, iterator))?;
        walk.asked = point;
        walk.steps += 1;
        let resized = walk.length.zip(length).map(|(before, now)| before != now);
        walk.length = length.or(walk.length);
        if walk.told || walk.by_size && resized == Some(false) {
            return None;
        }
        let strand = walk.begun.strand;
        let certain = |change: &&Change| resized == Some(true) || change.effect != Effect::MayResize;
        let blamed = walk.changes.iter().filter(certain);
        let seen = blamed.clone().find(|change| change.point.strand != strand).or_else(|| blamed.clone().next());
        // What a strand repeats without synchronising in between is not always told: whoever changed it before, did so again.
        let known = self.containers.get(&walk.object).map_or(&[] as &[Change], |container| container.changes.as_slice());
        let other = |change: &&Change| change.point.strand != strand && !change.point.is_before(&walk.begun);
        let guessed = known.iter().rev().filter(other).max_by_key(|change| change.point.time);
        let change = seen.or(guessed.filter(|_| resized == Some(true)))?.clone();
        walk.told = true;
        Some(Verdict { walk: walk.clone(), change, observed: true })
    }

    pub fn end(&mut self, process: ProcessId, iterator: u64) {
        let Some(walk) = self.walks.remove(&(process, iterator)) else { return };
        if let Some(container) = self.containers.get_mut(&walk.object) {
            container.open.retain(|open| *open != iterator);
            keep(&mut container.past, walk, same_loop);
        }
    }

    /// Is some loop over it open?
    pub fn is_walked(&self, object: ObjectKey) -> bool {
        self.containers.get(&object).is_some_and(|container| !container.open.is_empty())
    }

    /// The same change again, of what nobody walks, with nothing synchronised since: it tells nothing new.
    pub fn is_known(&self, object: ObjectKey, strand: StrandId, stack: StackId, moment: Moment) -> bool {
        let Some(container) = self.containers.get(&object) else { return false };
        let same =
            |change: &Change| change.point.strand == strand && change.point.stack == stack && change.point.at.moment == moment;
        container.open.is_empty() && container.past.is_empty() && container.changes.iter().any(same)
    }

    /// Something changes what may be walked. Returns loops of others that nothing keeps apart from it.
    pub fn change(&mut self, object: ObjectKey, change: &Change) -> Vec<Verdict> {
        if self.containers.len() >= CONTAINERS && !self.containers.contains_key(&object) {
            // Forgetting changes adds no findings.
            self.containers.retain(|_, container| !container.open.is_empty());
        }
        let container = self.containers.entry(object).or_default();
        container.first.get_or_insert_with(|| change.point.at.clone());
        for open in &container.open {
            if let Some(walk) = self.walks.get_mut(&(object.0, *open))
                && walk.changes.len() < REMEMBERED
            {
                walk.changes.push(change.clone());
            }
        }
        let open = container.open.iter().filter_map(|open| self.walks.get(&(object.0, *open)));
        let split: Vec<Verdict> = open
            .chain(&container.past)
            .filter(|walk| can_land_in(walk, change))
            .map(|walk| Verdict { walk: walk.clone(), change: change.clone(), observed: false })
            .collect();
        keep(&mut container.changes, change.clone(), |a, b| {
            a.point.strand == b.point.strand && a.point.stack == b.point.stack && a.effect == b.effect
        });
        split
    }

    /// Changes before this loop that nothing keeps out of it. One that was handed over was changed before on purpose: it
    /// counts only if the walking strand could know the container from its beginning (`existed`), or if others could
    /// when it was changed (`is_shared`).
    pub fn earlier_changes(
        &self,
        process: ProcessId,
        iterator: u64,
        existed: impl Fn(&Stamp) -> bool,
        is_shared: impl Fn(&Change) -> bool,
    ) -> Vec<Verdict> {
        let Some(walk) = self.walks.get(&(process, iterator)) else { return Vec::new() };
        let Some(container) = self.containers.get(&walk.object) else { return Vec::new() };
        let existed = container.first.as_ref().is_some_and(existed);
        let lands =
            |change: &&Change| change.point.time < walk.begun.time && (existed || is_shared(change)) && can_land_in(walk, change);
        let verdict = |change: &Change| Verdict { walk: walk.clone(), change: change.clone(), observed: false };
        container.changes.iter().filter(lands).map(verdict).collect()
    }

    /// The container is gone.
    pub fn forget(&mut self, object: ObjectKey) {
        for iterator in self.containers.remove(&object).map(|container| container.open).unwrap_or_default() {
            self.walks.remove(&(object.0, iterator));
        }
    }

    pub fn forget_process(&mut self, process: ProcessId) {
        self.containers.retain(|object, _| object.0 != process);
        self.walks.retain(|walk, _| walk.0 != process);
    }
}

/// The last of its kind is kept, of few kinds.
fn keep<T>(list: &mut Vec<T>, new: T, same: impl Fn(&T, &T) -> bool) {
    if let Some(old) = list.iter_mut().find(|old| same(old, &new)) {
        *old = new;
        return;
    }
    if list.len() >= REMEMBERED {
        list.remove(0);
    }
    list.push(new);
}

fn same_loop(a: &Walk, b: &Walk) -> bool {
    a.begun.strand == b.begun.strand && a.begun.stack == b.begun.stack
}

/// Nothing keeps this change of another strand out of the loop, and the loop has places where it can land.
fn can_land_in(walk: &Walk, change: &Change) -> bool {
    let (walker, changer) = (&walk.begun, &change.point);
    let breaks = walk.steps > 0 && (walker.thread != changer.thread || walk.asked.turns != walker.turns);
    walker.strand != changer.strand
        && breaks
        && change.effect != Effect::MayResize
        && !walk.asked.is_before(changer)
        && !changer.is_before(walker)
        && !walker.is_guarded(&walk.asked, changer)
}
