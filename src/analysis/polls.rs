//! Loops that wait until another strand has stored something: who leaves such a loop by what it read there comes after
//! whoever stored that, and what was done before. CPython makes no thread see stores out of order, with or without a GIL,
//! but promises so nowhere: it keeps windows apart, and is worth a note. That two wait for one thing orders nothing between
//! them. Which loops there are is said by the plans.

use smallvec::SmallVec;

use super::clock::Known;
use super::definitions::{Definitions, SPAN_DEPTH};
use super::strand::StrandId;
use super::world::World;
use crate::event::{CodeId, Event, KeyId, ObjectId, Record, StackId};

/// A part of an object.
type Part = (ObjectId, KeyId);

/// What accesses teach about order, over and above what was said of it.
#[derive(Debug)]
pub enum Lesson {
    /// The strand has looked at a part that decides whether it leaves a loop.
    Polled { strand: StrandId, at: PollAt, part: Part, told: Told },
    /// The strand writes a part that loops wait for.
    Stored { strand: StrandId, part: Part },
}

/// What those had done and known who wrote a part.
#[derive(Debug, Default)]
pub struct Told {
    pub known: Known,
    pub by: SmallVec<[StrandId; 1]>,
}

/// A loop of one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PollAt {
    /// The stack below the frame.
    below: StackId,
    code: CodeId,
    /// Index into the plan's.
    poll: u16,
}

/// A strand is in a loop that waits.
#[derive(Debug, Clone)]
pub struct Polling {
    at: PollAt,
    parts: SmallVec<[Part; 1]>,
    /// What was certainly over for those who wrote what was read last.
    told: Known,
    /// A stack inside of the loop, once one was seen.
    inside: StackId,
}

/// Parts that are polled in one loop.
const MOST_PARTS: usize = 16;

impl Definitions {
    /// The loop that what is read there may decide to leave.
    pub fn poll_at(&self, stack: StackId) -> Option<PollAt> {
        let entry = self.stack(stack).filter(|entry| entry.in_poll)?;
        let read = self.site(entry.site)?;
        let mut frames = self.walk(stack).take(SPAN_DEPTH + 1).enumerate();
        frames.find_map(|(depth, (_, entry))| {
            let site = self.site(entry.site)?;
            let poll = site.polls.filter(|_| depth == 0 || read.returns || read.checks)?;
            Some(PollAt { below: entry.parent, code: site.code, poll })
        })
    }

    fn is_in_loop(&self, stack: StackId, at: PollAt) -> bool {
        let Some(poll) = self.code(at.code).and_then(|code| code.plan.polls.get(usize::from(at.poll))) else { return false };
        let sites = self.walk(stack).filter(|(_, entry)| entry.parent == at.below).map(|(_, entry)| entry.site);
        let mut here = sites.filter_map(|site| self.site(site)).filter(|site| site.code == at.code);
        here.next().is_some_and(|site| poll.inside.iter().any(|(first, end)| (*first..*end).contains(&site.offset)))
    }
}

impl World {
    pub(super) fn learn(&mut self, lesson: Lesson) {
        match lesson {
            Lesson::Polled { strand, at, part, told } => self.has_polled(strand, at, part, told),
            Lesson::Stored { strand, part } => self.has_stored(strand, part),
        }
    }

    fn has_polled(&mut self, id: StrandId, at: PollAt, part: Part, Told { known: told, by }: Told) {
        // Nobody had looked before: what they do from here on is later.
        for writer in by {
            if let Some(writer) = self.strands.get_mut(writer).filter(|writer| told.includes(writer.clock.moment())) {
                writer.clock.publish();
            }
        }
        let Some(strand) = self.strands.get_mut(id) else { return };
        let process = strand.process;
        // Without a GIL, a store may come between the look that was recorded and the reading itself.
        let late = self.processes.get(process.0 as usize).is_some_and(|process| process.info.free_threaded);
        if strand.clock.knows(&told) && !late {
            return;
        }
        let new = || Box::new(Polling { at, parts: SmallVec::new(), told: Known::default(), inside: StackId(0) });
        let polling = strand.polling.get_or_insert_with(new);
        if polling.at != at {
            (polling.at, polling.inside) = (at, StackId(0));
        }
        polling.told.join(&told);
        if !polling.parts.contains(&part) && polling.parts.len() < MOST_PARTS {
            polling.parts.push(part);
        }
        if let Some(process) = self.process_mut(process).filter(|process| late && !process.pollers.contains(&id)) {
            process.pollers.push(id);
        }
    }

    /// What it did before is told with what it stored; what follows is a later moment.
    fn has_stored(&mut self, id: StrandId, part: Part) {
        let Some(strand) = self.strands.get_mut(id) else { return };
        let (stamp, process) = (strand.clock.publish(), strand.process);
        let pollers = self.processes.get(process.0 as usize).map_or(&[][..], |process| &process.pollers);
        for poller in pollers.iter().filter(|poller| **poller != id) {
            let polling = self.strands.get_mut(*poller).and_then(|poller| poller.polling.as_deref_mut());
            if let Some(polling) = polling.filter(|polling| polling.parts.contains(&part)) {
                polling.told.join(stamp.knowledge.seen());
                polling.told.learn(stamp.moment);
            }
        }
    }

    /// The strand does something: outside of the loop in which it waited, it follows those for whom it did.
    pub(super) fn leave_loop(&mut self, id: StrandId, record: &Record) {
        let Some(polling) = self.strands.get(id).and_then(|strand| strand.polling.as_deref()) else { return };
        let stack = match &record.event {
            Event::Access(access) => access.stack,
            Event::IterBegin { stack, .. }
            | Event::IterNext { stack, .. }
            | Event::FileOpen { stack, .. }
            | Event::FileWrite { stack, .. }
            | Event::PathCheck { stack, .. }
            | Event::PathUse { stack, .. }
            | Event::Shared { stack, .. }
            | Event::ThreadStart { stack, .. }
            | Event::TaskNew { stack, .. }
            | Event::LockReleased { stack, .. } => *stack,
            Event::Signal { .. }
            | Event::Put { .. }
            | Event::Offered { .. }
            | Event::JobEnd
            | Event::ThreadEnd
            | Event::TaskEnd { .. } => StackId(0),
            _ => return,
        };
        if stack == polling.inside && stack != StackId(0) {
            return;
        }
        let inside = self.definitions(record.process).is_some_and(|all| all.is_in_loop(stack, polling.at));
        let Some(strand) = self.strands.get_mut(id) else { return };
        if inside {
            strand.polling.iter_mut().for_each(|polling| polling.inside = stack);
        } else if let Some(left) = strand.polling.take() {
            strand.clock.has_seen(&left.told);
            if let Some(process) = self.process_mut(record.process) {
                process.pollers.retain(|poller| *poller != id);
            }
        }
    }
}
