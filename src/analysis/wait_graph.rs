//! Who waits for whom, and whether somebody waits for himself in the end. It knows strands and locks by number only.

use super::lock::LockId;
use super::strand::StrandId;

/// Why a strand cannot go on without another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// The other holds this lock.
    Lock(LockId),
    /// The other blocks the event loop that runs both.
    Loop,
    /// The other blocks the event loop that is to make the result it waits for.
    Result,
    /// The other thread has to end first.
    End,
    /// Nothing: it has ended, and will not release what it holds.
    Ended,
}

impl Need {
    pub fn lock(self) -> Option<LockId> {
        match self {
            Need::Lock(lock) => Some(lock),
            Need::Loop | Need::Result | Need::End | Need::Ended => None,
        }
    }
}

/// `strand` needs something of the next in the cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    pub strand: StrandId,
    pub need: Need,
}

/// Longest chain of waiting strands that is followed.
const LONGEST: usize = 64;

/// The shortest way found from `start` back to itself. Everybody needs all that `needs` says of him, so one way is enough.
pub fn cycle_through(start: StrandId, needs: impl Fn(StrandId) -> Vec<(Need, StrandId)>) -> Option<Vec<Link>> {
    let mut reached: Vec<(StrandId, Option<usize>, Need)> = vec![(start, None, Need::Loop)];
    let mut next = 0;
    while let Some(&(strand, _, _)) = reached.get(next) {
        for (need, other) in needs(strand) {
            if other == start {
                return Some(way(&reached, next, need));
            }
            if reached.len() < LONGEST && !reached.iter().any(|seen| seen.0 == other) {
                reached.push((other, Some(next), need));
            }
        }
        next += 1;
    }
    None
}

/// From the start to the strand at `last`, which closes the cycle with `need`.
fn way(reached: &[(StrandId, Option<usize>, Need)], last: usize, need: Need) -> Vec<Link> {
    let mut links = Vec::new();
    let (mut at, mut need) = (Some(last), need);
    while let Some(&(strand, before, reason)) = at.and_then(|at| reached.get(at)) {
        links.push(Link { strand, need });
        (at, need) = (before, reason);
    }
    links.reverse();
    links
}
