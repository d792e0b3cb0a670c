//! The last things that strands did with locks and with their event loops, so that a finding can show them around its
//! accesses. A fixed number is kept for the whole session; nothing is decided by them.

use super::lock::LockId;
use super::strand::StrandId;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub time: u64,
    pub strand: StrandId,
    pub what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The lock, and which of its acquisitions ended here.
    Released(LockId, u64),
    /// Gave way to others of its event loop.
    Suspended,
    Resumed,
}

/// Steps that are kept.
const KEPT: usize = 1 << 12;

/// A ring: the oldest step makes room.
#[derive(Debug, Default)]
pub struct History {
    steps: Vec<Step>,
    /// Where the next one goes once the ring is full: the oldest is there.
    next: usize,
}

impl History {
    #[inline]
    pub(super) fn note(&mut self, step: Step) {
        if self.steps.len() < KEPT {
            self.steps.push(step);
        } else if let Some(oldest) = self.steps.get_mut(self.next) {
            *oldest = step;
            self.next = (self.next + 1) % KEPT;
        }
    }

    /// What is known of a strand in that time, both ends included, in order.
    pub fn of(&self, strand: StrandId, begin: u64, end: u64) -> impl Iterator<Item = Step> + '_ {
        let (newer, older) = self.steps.split_at(self.next.min(self.steps.len()));
        let steps = older.iter().chain(newer).copied();
        steps.filter(move |step| step.strand == strand && (begin..=end).contains(&step.time))
    }
}

#[cfg(test)]
mod tests {
    use super::super::strand::{NewStrand, Strands};
    use super::*;
    use crate::event::{ProcessId, StackId, TextId, Tid};

    fn strand() -> StrandId {
        let mut strands = Strands::default();
        let clock = super::super::clock::Clock::new(strands.new_chain(), Default::default());
        strands.add(NewStrand {
            process: ProcessId(0),
            thread: Tid(1),
            task: None,
            token: None,
            name: TextId(0),
            started: StackId(0),
            parent: None,
            begun: 0,
            clock,
            birth: None,
        })
    }

    #[test]
    fn the_newest_steps_are_kept_in_order() {
        let (strand, mut history) = (strand(), History::default());
        let all = KEPT as u64 + 100;
        (0..all).for_each(|time| history.note(Step { time, strand, what: What::Suspended }));
        let times: Vec<u64> = history.of(strand, 0, u64::MAX).map(|step| step.time).collect();
        assert_eq!(times, (100..all).collect::<Vec<_>>());
        assert_eq!(history.of(strand, 200, 202).count(), 3);
    }
}
