//! Tasks and channels: how they begin, take turns and end, and how one strand tells another to go on. Locks are elsewhere.

use super::super::clock::{Clock, Knowledge, Moment, Stamp};
use super::super::history::{Step, What};
use super::super::process::TaskState;
use super::super::strand::{NewStrand, StrandId, UNKNOWN_NAME};
use super::super::world::World;
use super::HEIRS;
use crate::event::{ChannelId, ObjectId, ProcessId, Record, StackId, TaskId, TextId};

impl World {
    pub(super) fn new_task(&mut self, parent: StrandId, task: TaskId, future: ChannelId, name: TextId, stack: StackId) {
        let Some(strand) = self.strands.get_mut(parent) else { return };
        let stamp = strand.clock.publish();
        let (process, thread) = (strand.process, strand.thread);
        let (clock, birth) = self.clock_after(process, &stamp, Some(parent));
        let id = self.strands.add(NewStrand {
            process,
            thread,
            task: Some(task),
            token: None,
            name,
            started: stack,
            parent: Some(parent),
            begun: self.sequence(),
            clock,
            birth: Some(birth),
        });
        self.counts.tasks += 1;
        if let Some(process) = self.process_mut(process) {
            process.tasks.insert(task, TaskState { strand: id, future });
        }
    }

    pub(super) fn switch_task(&mut self, from: StrandId, task: Option<TaskId>, record: &Record) {
        let to = task.and_then(|task| {
            let process = self.process(record.process)?;
            match process.tasks.get(&task) {
                Some(known) => Some(known.strand),
                None if process.midway => self.meet_task(record, task),
                None => None,
            }
        });
        let Some(process) = self.process_mut(record.process) else { return };
        let Some(thread) = process.threads.get_mut(&record.thread) else { return };
        let own = thread.own;
        let to = to.unwrap_or(own);
        thread.current = to;
        if from != to
            && let Some(from) = self.strands.get_mut(from)
        {
            from.turns += 1;
        }
        if let Some(strand) = self.strands.get_mut(to) {
            strand.home = Some(own);
            strand.thread = record.thread;
        }
        if from != to && to != own {
            self.history.note(Step { time: record.time, strand: to, what: What::Resumed });
        }
    }

    /// A task that was there before watching began.
    fn meet_task(&mut self, record: &Record, task: TaskId) -> Option<StrandId> {
        let clock = Clock::new(self.strands.new_chain(), Knowledge::default());
        let id = self.strands.add(NewStrand {
            process: record.process,
            thread: record.thread,
            task: Some(task),
            token: None,
            name: UNKNOWN_NAME,
            started: StackId(0),
            parent: None,
            begun: self.sequence(),
            clock,
            birth: None,
        });
        self.counts.tasks += 1;
        self.strands.get_mut(id)?.unsettled = true;
        self.process_mut(record.process)?.tasks.insert(task, TaskState { strand: id, future: ChannelId(0) });
        Some(id)
    }

    /// The thread itself is meant, whatever task it runs.
    pub(super) fn unsettle(&mut self, record: &Record) {
        if let Some(own) = self.thread(record.process, record.thread).and_then(|own| self.strands.get_mut(own)) {
            own.unsettled = true;
        }
        if let Some(process) = self.process_mut(record.process) {
            process.midway = true;
        }
    }

    pub(super) fn settle(&mut self, record: &Record) {
        if let Some(own) = self.thread(record.process, record.thread).and_then(|own| self.strands.get_mut(own)) {
            own.unsettled = false;
        }
        self.forgive_all(record.process);
    }

    pub(super) fn end_task(&mut self, process: ProcessId, task: TaskId) {
        let Some(state) = self.process_mut(process).and_then(|process| process.tasks.remove(&task)) else { return };
        let last = self.strands.get(state.strand).map(|strand| strand.clock.moment());
        self.end_strand(state.strand);
        // A task is joined through its future.
        let farewell = self.strands.get_mut(state.strand).and_then(|strand| strand.farewell.take());
        if let (Some(process), Some(stamp)) = (self.process_mut(process), farewell) {
            process.channels.signal(state.future, &stamp, last);
            for thread in process.threads.values_mut().filter(|thread| thread.current == state.strand) {
                thread.current = thread.own;
            }
        }
    }

    pub(super) fn signal(&mut self, strand: StrandId, channel: ChannelId, ends: Option<Moment>) {
        let Some(strand) = self.strands.get_mut(strand) else { return };
        let stamp = strand.clock.publish();
        let process = strand.process;
        if let Some(process) = self.process_mut(process) {
            process.channels.signal(channel, &stamp, ends);
        }
    }

    pub(super) fn observe(&mut self, strand: StrandId, channel: ChannelId) {
        let Some(process) = self.strands.get(strand).map(|strand| strand.process) else { return };
        let Some(process) = self.processes.get(process.0 as usize) else { return };
        let Some((told, ends)) = process.channels.observe(channel) else { return };
        let Some(strand) = self.strands.get_mut(strand) else { return };
        strand.clock.join_told(told);
        strand.jobs.learns(|known| known.join_told(told));
        if let Some(last) = ends
            && strand.heirs.len() < HEIRS
        {
            strand.heirs.push(last);
        }
    }

    pub(super) fn put(&mut self, strand: StrandId, channel: ChannelId, item: u64) {
        let Some(strand) = self.strands.get_mut(strand) else { return };
        let stamp = strand.clock.publish();
        let process = strand.process;
        if let Some(process) = self.process_mut(process) {
            process.channels.signal(channel, &stamp, None);
            process.channels.put(channel, item, &stamp);
        }
    }

    /// Of what was not seen being put, all that was told on the channel counts.
    pub(super) fn got(&mut self, strand: StrandId, channel: ChannelId, item: u64) {
        let Some(process) = self.strands.get(strand).map(|strand| strand.process) else { return };
        let known = self.process_mut(process).and_then(|process| process.channels.take(channel, item));
        match (known, self.strands.get_mut(strand)) {
            (Some(told), Some(strand)) => {
                strand.clock.join_told(&told);
                strand.jobs.learns(|known| known.join_told(&told));
                strand.jobs.got = Some(told);
            }
            (_, known) => {
                if let Some(strand) = known {
                    strand.jobs.got = None;
                }
                self.observe(strand, channel);
            }
        }
    }

    pub(super) fn offer(&mut self, strand: StrandId, item: ObjectId, container: ObjectId) {
        let sequence = self.sequence();
        let Some(by) = self.strands.get_mut(strand) else { return };
        let (stamp, process) = (by.clock.publish(), by.process);
        if let Some(process) = self.process_mut(process) {
            process.lent.put(item, container, strand, sequence, stamp);
        }
    }

    /// What was taken out of a container is touched.
    pub(super) fn get_hold(&mut self, strand: StrandId, process: ProcessId, object: ObjectId) {
        let Some(process) = self.process_mut(process).filter(|process| !process.lent.is_empty()) else { return };
        let at_once = process.info.free_threaded;
        if let Some(stamp) = process.lent.touch(object, strand, at_once) {
            self.join(strand, &stamp, None);
        }
    }

    pub(super) fn join(&mut self, strand: StrandId, stamp: &Stamp, ends: Option<Moment>) {
        let Some(strand) = self.strands.get_mut(strand) else { return };
        strand.clock.join(stamp);
        strand.jobs.learns(|known| known.join(stamp));
        if let Some(last) = ends
            && strand.heirs.len() < HEIRS
        {
            strand.heirs.push(last);
        }
    }
}
