//! Several processes: a child begins after what its parent had done, and whoever hears from outside may know what others
//! have done. More order is taken than there may be, never less: what came in is not looked at.

use super::super::clock::{Knowledge, Stamp};
use super::super::strand::StrandId;
use super::super::world::World;
use crate::event::ProcessId;

/// Times that are remembered; with more, the process is taken to hear all the time.
const MOST_HEARD: usize = 1 << 17;
/// Parents of parents that are followed.
const DEEPEST: usize = 32;
/// Times at which a process heard something, of which it is remembered what it knew before.
const KEPT: usize = 64;

impl World {
    /// All that other processes have done so far may be known to this strand from here on.
    pub(super) fn hear(&mut self, strand: StrandId, time: u64) {
        let Some(own) = self.strands.get(strand).map(|strand| strand.process) else { return };
        if let Some(process) = self.process_mut(own)
            && process.heard.len() < MOST_HEARD
        {
            process.heard.push(time);
        }
        if self.processes.len() < 2 {
            return;
        }
        self.keep_what_is_known(own, time);
        let others: Vec<ProcessId> = self.processes().map(|(id, _)| id).filter(|id| *id != own).collect();
        let reached: Vec<Stamp> = others.iter().flat_map(|other| self.reached(*other)).collect();
        let ended: Vec<Knowledge> = others.iter().filter_map(|other| self.process(*other)?.farewell.clone()).collect();
        if let Some(strand) = self.strands.get_mut(strand) {
            reached.iter().for_each(|stamp| strand.clock.join(stamp));
            ended.iter().for_each(|knowledge| strand.clock.join_all(knowledge));
        }
    }

    /// A child that began before may be heard of after: what comes in now it does not know.
    fn keep_what_is_known(&mut self, own: ProcessId, time: u64) {
        let known = self.known_to(own);
        let Some(process) = self.process_mut(own) else { return };
        if process.before_hearing.len() >= KEPT {
            process.before_hearing.pop_front();
        }
        process.before_hearing.push_back((time, known));
    }

    /// What the first thread of a process knows: all that its parent had done when it came.
    pub(super) fn known_at_start(&mut self, process: ProcessId) -> Knowledge {
        let Some(state) = self.process(process).filter(|state| state.threads.is_empty() && state.tokens.is_empty()) else {
            return Knowledge::default();
        };
        let started = state.started;
        let Some(parent) = self.parent_of(process) else { return Knowledge::default() };
        let then = self.process(parent).and_then(|parent| parent.before_hearing.iter().find(|(time, _)| *time > started));
        match then {
            Some((_, known)) => known.clone(),
            None => self.known_to(parent),
        }
    }

    /// All that the threads of a process have done and know.
    fn known_to(&mut self, process: ProcessId) -> Knowledge {
        let mut known = Knowledge::default();
        for stamp in self.reached(process) {
            known.join(&stamp);
        }
        known
    }

    /// The process is over: what its threads have done is kept for those who hear of it.
    pub(super) fn say_farewell(&mut self, process: ProcessId) {
        let known = self.known_to(process);
        if let Some(process) = self.process_mut(process) {
            process.farewell = Some(known);
        }
    }

    /// Could `process` know, when it did something at `later`, what was done in `other` at `earlier`? By the clock: records
    /// of different processes may come out of order by a little.
    pub(in crate::analysis) fn may_know(&self, process: ProcessId, other: ProcessId, earlier: u64, later: u64) -> bool {
        let (mut process, mut later) = (process, later);
        for _ in 0..DEEPEST {
            let Some(state) = self.process(process) else { return true };
            let next = state.heard.get(state.heard.partition_point(|time| *time < earlier));
            if state.heard.len() >= MOST_HEARD || next.is_some_and(|time| *time <= later) {
                return true;
            }
            if state.started < earlier {
                return false;
            }
            // It began later than that: with all that its parent knew then.
            match self.parent_of(process) {
                Some(parent) if parent != other => (process, later) = (parent, state.started),
                _ => return true,
            }
        }
        true
    }

    /// Where the threads of a process are now; what they do from here on is later.
    fn reached(&mut self, process: ProcessId) -> Vec<Stamp> {
        let Some(state) = self.process(process) else { return Vec::new() };
        let mut strands: Vec<StrandId> = state.threads.values().flat_map(|thread| [thread.own, thread.current]).collect();
        strands.sort_unstable();
        strands.dedup();
        strands
            .into_iter()
            .filter_map(|id| {
                let strand = self.strands.get_mut(id)?;
                Some(strand.farewell.clone().unwrap_or_else(|| strand.clock.publish()))
            })
            .collect()
    }

    /// Has one watched process started both itself, as the program's names for them tell?
    pub(in crate::analysis) fn are_siblings(&self, a: ProcessId, b: ProcessId) -> bool {
        let named = |id: ProcessId| self.process(id).is_some_and(|process| process.name.is_some());
        named(a) && named(b) && self.parent_of(a).is_some_and(|parent| self.parent_of(b) == Some(parent))
    }

    /// The watched process that started this one.
    fn parent_of(&self, process: ProcessId) -> Option<ProcessId> {
        let pid = self.process(process)?.info.parent.filter(|pid| *pid != 0)?;
        self.processes().filter(|(id, other)| *id != process && other.info.pid == pid).map(|(id, _)| id).last()
    }

    /// Do both processes descend from one that is watched, so that all order between them has been seen, or heard of?
    pub(in crate::analysis) fn related(&self, a: ProcessId, b: ProcessId) -> bool {
        let root = |process: ProcessId| {
            let mut at = process;
            for _ in 0..DEEPEST {
                let Some(parent) = self.parent_of(at) else { break };
                at = parent;
            }
            at
        };
        a == b || root(a) == root(b)
    }
}
