//! Findings of basis `sampled`: from states that were seen, not from sequences of events. What was seen at one verified
//! moment proves; nothing is concluded from what was not seen.
//!
//! | module | finds |
//! |---|---|
//! | [`waits`] | deadlocks, locks whose owner is gone |
//! | [`windows`] | stale values, two strands in one window |
//! | [`ahead`] | strands that nothing keeps from coming into each other's windows |
//! | [`working`] | windows that several freely running threads come to |
//! | [`loops`] | containers that change while a loop walks them |
//! | [`paths`] | paths that are asked about and then acted on |
//! | [`files`] | records and handles that run into each other in one file |
//! | [`inversions`] | lock orders that contradict each other |
//! | [`awaits`] | locks held across an await, coroutines that never run |

mod ahead;
mod awaits;
mod describe;
mod files;
mod inversions;
mod loops;
mod paths;
mod sightings;
mod waits;
mod windows;
mod working;

use super::Detector;
use super::findings::Findings;
use super::world::World;
use crate::event::sample::{Sample, StrandState};
use crate::event::{Event, ProcessId, Record, TaskId, Tid};

/// A strand of a sampled session: a thread, or a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Who {
    pub thread: Tid,
    pub task: Option<TaskId>,
}

impl Who {
    fn of(state: &StrandState) -> Who {
        Who { thread: state.thread, task: state.task }
    }
}

/// Can the other strand do something while this one stands where it is? Tasks of one event loop come in only where the other
/// is suspended; both are seen suspended.
fn comes_between(one: &StrandState, other: &StrandState, suspends: bool) -> bool {
    let tasks = one.task.is_some() && other.task.is_some();
    Who::of(one) != Who::of(other) && (one.thread != other.thread || (tasks && suspends))
}

/// One sample, with what is needed to describe it.
pub(crate) struct Seen<'a> {
    pub world: &'a World,
    pub process: ProcessId,
    pub time: u64,
    pub sample: &'a Sample,
}

/// All detectors of sampled sessions.
#[derive(Debug, Default)]
pub struct Sampled {
    waits: waits::Waiting,
    windows: windows::Windows,
    ahead: ahead::Comings,
    working: working::Working,
    paths: paths::Paths,
    files: files::Files,
    inversions: inversions::Inversions,
    awaits: awaits::Awaits,
}

impl Detector for Sampled {
    fn record(&mut self, world: &World, record: &Record, findings: &mut Findings) {
        if let Event::ThreadBegin { .. } = record.event {
            self.working.begins(record.thread, record.time);
        }
        let Event::Sample(sample) = &record.event else { return };
        let seen = Seen { world, process: record.process, time: record.time, sample };
        self.waits.look(&seen, findings);
        self.windows.look(&seen, findings);
        self.ahead.look(&seen, findings);
        self.working.look(&seen, findings);
        loops::look(&seen, findings);
        self.paths.look(&seen, findings);
        self.files.look(&seen, findings);
        self.inversions.look(&seen, findings);
        self.awaits.look(&seen, findings);
    }
}

#[cfg(test)]
mod tests;
