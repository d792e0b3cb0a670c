//! A strand's place in time, as a value to keep: for detectors that compare what happened at different times. Which of
//! two things could have come first is answered here; what follows from it is the detectors' business.

use super::clock::Stamp;
use super::describe;
use super::lock::{Held, Holding};
use super::strand::StrandId;
use super::world::World;
use crate::event::{Record, StackId};

/// A strand's place in time, with what it holds there.
#[derive(Debug, Clone)]
pub struct Point {
    pub strand: StrandId,
    /// The OS thread that it runs on: tasks of one event loop share it.
    pub thread: StrandId,
    pub stack: StackId,
    pub time: u64,
    pub at: Stamp,
    pub held: Holding,
    /// How often the strand has given way to others of its event loop.
    pub turns: u64,
}

impl Point {
    /// Here and now.
    pub fn of(world: &World, record: &Record, stack: StackId) -> Option<Point> {
        let strand = world.strand_of(record)?;
        let state = world.strand(strand)?;
        Some(Point {
            strand,
            thread: world.home(strand).unwrap_or(strand),
            stack,
            time: record.time,
            at: state.clock.peek(),
            held: state.snapshot(),
            turns: state.turns,
        })
    }

    pub fn held(&self) -> &[Held] {
        &self.held
    }

    /// Strands of one event loop only switch where one gives way: did this one, until then?
    pub fn gave_way(&self, until: &Point) -> bool {
        self.turns != until.turns
    }

    /// Certainly before `later`, whatever the scheduler does.
    pub fn is_before(&self, later: &Point) -> bool {
        self.at.moment.chain == later.at.moment.chain || later.at.knowledge.seen().includes(self.at.moment)
    }

    /// A lock that this strand held from here to `until` without a break, and `other` at its point.
    pub fn is_guarded(&self, until: &Point, other: &Point) -> bool {
        self.held.iter().any(|held| {
            held.excludes
                && until.held.iter().any(|hold| hold.acquisition == held.acquisition)
                && other.held.iter().any(|hold| hold.lock == held.lock)
        })
    }
}

/// Could these two have come at one time? Not what order keeps apart, nor strands that could never meet.
pub fn can_meet(world: &World, earlier: &Point, later: &Point, observed: bool) -> bool {
    let (earlier, later) = if earlier.time <= later.time { (earlier, later) } else { (later, earlier) };
    let (one, other) = (describe::process_of(world, earlier.strand), describe::process_of(world, later.strand));
    let apart = one != other && world.may_know(other, one, earlier.time, later.time);
    observed || (!apart && world.could_meet(earlier.strand, later.strand) && !world.seen_before(earlier.at.moment, later.strand))
}

/// Keeps `new` in the place of what is `same`, or in the place of the oldest when there are `most`.
pub fn keep_last<T>(list: &mut Vec<T>, most: usize, new: T, same: impl Fn(&T, &T) -> bool) {
    if let Some(old) = list.iter_mut().find(|old| same(old, &new)) {
        *old = new;
        return;
    }
    if list.len() >= most {
        list.remove(0);
    }
    list.push(new);
}
