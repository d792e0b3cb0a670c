//! How events change strands, clocks and locks: the rules of hard order and of mutual exclusion. It judges no access.
//! Threads are here, [`tasks`] with their channels, [`locks`] and [`processes`] in modules of their own.

use super::clock::{Clock, Knowledge, Moment, Stamp};
use super::history::{Step, What};
use super::process::{Process, ThreadState, TokenState};
use super::strand::{Blocked, NewStrand, StrandId, UNKNOWN_NAME, Waiting};
use super::world::World;
use crate::event::{Access, ChannelId, Event, ProcessId, Record, Shape, StackId, TextId, ThreadToken, Tid};

mod locks;
mod processes;
mod tasks;
#[cfg(test)]
mod tests;

/// Chains of ended strands that wait for a later strand to go on on them.
const IDLE_CHAINS: usize = 1 << 16;
/// Idle chains that are looked at for a strand that begins.
const IDLE_LOOKS: usize = 8;
/// Ended strands that a strand remembers to have waited for.
const HEIRS: usize = 1024;

impl World {
    /// The strand of the record's thread; a thread not heard of before was there before watching began.
    pub(super) fn ensure_strand(&mut self, record: &Record) -> Option<StrandId> {
        let known = self.process(record.process)?.threads.get(&record.thread).map(|thread| thread.current);
        match &record.event {
            Event::ThreadBegin { token, name } => {
                if let Some(own) = self.thread(record.process, record.thread) {
                    self.end_thread(own);
                }
                self.begin_thread(record.process, record.thread, *token, *name)
            }
            Event::ThreadEnd => self.thread(record.process, record.thread),
            _ => known.or_else(|| self.begin_thread(record.process, record.thread, None, UNKNOWN_NAME)),
        }
    }

    pub(super) fn advance(&mut self, strand: StrandId, record: &Record) {
        let process = record.process;
        if let Some(strand) = self.strands.get_mut(strand) {
            strand.blocked = None;
        }
        match &record.event {
            Event::Block { on, stack } => {
                if let Some(strand) = self.strands.get_mut(strand) {
                    strand.blocked = Some(Blocked { on: *on, stack: *stack, since: record.time });
                }
            }
            Event::ThreadStart { token, stack } => self.start_thread(strand, *token, *stack),
            Event::ThreadName { name } => {
                if let Some(own) = self.thread(process, record.thread).and_then(|own| self.strands.get_mut(own)) {
                    own.name = *name;
                }
            }
            Event::ThreadJoin { token } => self.join_thread(strand, *token),
            Event::TaskNew { task, future, name, stack } => self.new_task(strand, *task, *future, *name, *stack),
            Event::TaskSwitch { task } => self.switch_task(strand, *task, record),
            Event::Suspend { .. } => {
                if let Some(strand) = self.strands.get_mut(strand) {
                    strand.turns += 1;
                }
                self.history.note(Step { time: record.time, strand, what: What::Suspended });
            }
            Event::Unsettled => self.unsettle(record),
            Event::Settled => self.settle(record),
            Event::Hear => self.hear(strand, record.time),
            // What is only looked at is a message from whoever has stored it.
            Event::Shared { writes: false, stack, .. }
                if self.is_polled(process, *stack) || !self.site(process, *stack).is_some_and(|site| site.opens) =>
            {
                self.hear(strand, record.time);
            }
            Event::Signal { channel } => self.signal(strand, *channel, None),
            Event::Observe { channel } => self.observe(strand, *channel),
            Event::Put { channel, item } => self.put(strand, *channel, *item),
            Event::Got { channel, item } => self.got(strand, *channel, *item),
            Event::Offered { item, container } => self.offer(strand, *item, *container),
            Event::Taken { container } => {
                let sequence = self.sequence();
                if let Some(process) = self.process_mut(process) {
                    process.lent.take(*container, strand, sequence);
                }
            }
            Event::JobBegin => {
                if let Some(strand) = self.strands.get_mut(strand) {
                    strand.clock.publish();
                    strand.jobs.begin(strand.clock.moment());
                }
            }
            Event::JobEnd => {
                if let Some(strand) = self.strands.get_mut(strand) {
                    strand.clock.publish();
                    strand.jobs.end();
                }
            }
            Event::LockNew { lock, kind, stack } => {
                // One without a place was met, not made.
                self.add_lock(process, *lock, *kind, Some(*stack).filter(|stack| *stack != StackId(0)));
            }
            Event::LockWait { lock, stack, patience } => {
                let lock = self.ensure_lock(process, *lock);
                if let Some(strand) = self.strands.get_mut(strand) {
                    strand.waiting = lock.map(|lock| Waiting { lock, stack: *stack, since: record.time, patience: *patience });
                }
            }
            Event::LockFailed { lock, .. } => {
                let lock = self.ensure_lock(process, *lock);
                if let Some(strand) = self.strands.get_mut(strand) {
                    strand.waiting = strand.waiting.filter(|waiting| Some(waiting.lock) != lock);
                }
            }
            Event::LockAcquired { lock, stack, .. } => {
                if let Some(lock) = self.ensure_lock(process, *lock) {
                    self.acquire(strand, lock, *stack, record.time);
                }
            }
            Event::FileOpen { path, .. } | Event::PathUse { path, .. } | Event::PathFailed { path, .. } => {
                self.note_path(process, *path);
            }
            Event::PathCheck { path, stack, .. } => {
                self.note_path(process, *path);
                // A loop that goes on until somebody has made a file, or removed it.
                if self.is_polled(process, *stack) {
                    self.hear(strand, record.time);
                }
            }
            Event::Access(access) => {
                self.get_hold(strand, process, access.object);
                self.name_object(process, access);
                self.note_access(strand, process, access);
            }
            _ => {}
        }
    }

    pub(super) fn conclude(&mut self, strand: StrandId, record: &Record) {
        match &record.event {
            Event::LockReleased { lock, .. } => {
                if let Some(lock) = self.ensure_lock(record.process, *lock) {
                    self.release(strand, lock, record.time);
                }
            }
            Event::ThreadEnd => self.end_thread(strand),
            Event::TaskEnd { task } => self.end_task(record.process, *task),
            _ => {}
        }
    }

    /// What is over without belonging to a strand.
    pub(super) fn close(&mut self, record: &Record) {
        match &record.event {
            Event::ObjectEnd { id } => {
                if let Some(process) = self.process_mut(record.process) {
                    process.objects.remove(id);
                    process.channels.end(ChannelId(id.0));
                    process.lent.end(*id);
                    let lock = process.locks.remove(id);
                    if let Some(lock) = lock {
                        self.lock_is_gone(lock);
                    }
                }
            }
            Event::ProcessEnd { .. } => {
                for strand in self.strands.ids_of(record.process) {
                    if self.strands.get(strand).is_some_and(|strand| strand.ended.is_none()) {
                        self.end_strand(strand);
                    }
                }
                self.say_farewell(record.process);
                if let Some(process) = self.process_mut(record.process) {
                    process.ended = Some(record.time);
                    process.threads.clear();
                    process.tasks.clear();
                }
            }
            _ => {}
        }
    }

    fn begin_thread(&mut self, process: ProcessId, tid: Tid, token: Option<ThreadToken>, name: TextId) -> Option<StrandId> {
        let start = token.and_then(|token| self.process_mut(process)?.tokens.get_mut(&token)?.start.take());
        let (clock, birth, started, parent) = match start {
            Some((stamp, stack, parent)) => {
                let (clock, birth) = self.clock_after(process, &stamp, Some(parent));
                (clock, Some(birth), stack, Some(parent))
            }
            None => (Clock::new(self.strands.new_chain(), self.known_at_start(process)), None, StackId(0), None),
        };
        let begun = self.sequence();
        let new = NewStrand { process, thread: tid, task: None, token, name, started, parent, begun, clock, birth };
        let id = self.strands.add(new);
        if let Some(strand) = self.strands.get_mut(id) {
            strand.home = Some(id);
        }
        self.counts.threads += 1;
        let process = self.process_mut(process)?;
        process.threads.insert(tid, ThreadState { own: id, current: id });
        if let Some(token) = token {
            process.tokens.entry(token).or_insert(TokenState { start: None, strand: None }).strand = Some(id);
        }
        Some(id)
    }

    fn start_thread(&mut self, parent: StrandId, token: ThreadToken, stack: StackId) {
        let Some(strand) = self.strands.get_mut(parent) else { return };
        let stamp = strand.clock.publish();
        let process = strand.process;
        if let Some(process) = self.process_mut(process) {
            process.tokens.insert(token, TokenState { start: Some((stamp, stack, parent)), strand: None });
        }
    }

    fn join_thread(&mut self, strand: StrandId, token: ThreadToken) {
        let Some(process) = self.strands.get(strand).and_then(|strand| self.processes.get(strand.process.0 as usize)) else {
            return;
        };
        let Some(ended) = process.tokens.get(&token) else {
            if let Some(strand) = self.strands.get_mut(strand) {
                strand.clock.join_all(&process.forgotten_threads);
                strand.jobs.learns(|known| known.join_all(&process.forgotten_threads));
            }
            return;
        };
        let Some(other) = ended.strand.and_then(|other| self.strands.get_mut(other)) else { return };
        let ends = other.farewell.as_ref().map(|stamp| stamp.moment);
        let stamp = other.farewell.clone().unwrap_or_else(|| other.clock.publish_early());
        self.join(strand, &stamp, ends);
    }

    fn end_thread(&mut self, own: StrandId) {
        let Some((process, tid)) = self.strands.get(own).map(|strand| (strand.process, strand.thread)) else { return };
        self.end_strand(own);
        if let Some(process) = self.process_mut(process)
            && process.threads.get(&tid).is_some_and(|thread| thread.own == own)
        {
            process.threads.remove(&tid);
        }
    }

    fn end_strand(&mut self, id: StrandId) {
        let now = self.sequence();
        let Some(strand) = self.strands.get_mut(id) else { return };
        let stamp = strand.clock.publish();
        let (moment, process) = (stamp.moment, strand.process);
        strand.farewell = Some(stamp);
        let forgotten = self.strands.end(id, now);
        if let Some(process) = self.process_mut(process) {
            if process.idle_chains.len() >= IDLE_CHAINS {
                process.idle_chains.clear();
                process.idle_line.clear();
            }
            process.idle_chains.insert(moment);
            process.idle_line.push_back(moment);
            // Most are taken over by heirs, which leaves them in line.
            if process.idle_line.len() > 2 * process.idle_chains.len() + IDLE_LOOKS {
                let Process { idle_line, idle_chains, .. } = process;
                idle_line.retain(|last| idle_chains.contains(last));
            }
            if let Some(forgotten) = forgotten {
                if let Some((token, stamp)) = forgotten.token.zip(forgotten.farewell.as_ref()) {
                    process.tokens.remove(&token);
                    process.forgotten_threads.join(stamp);
                }
                process.definitions.forget_name_of(&forgotten);
            }
        }
    }

    /// A clock for a strand that begins after `stamp`: on the chain of an ended strand that is known to be over, or on
    /// a new one.
    fn clock_after(&mut self, process: ProcessId, stamp: &Stamp, parent: Option<StrandId>) -> (Clock, super::clock::Known) {
        let mut knowledge = stamp.knowledge.clone();
        knowledge.join(stamp);
        let birth = knowledge.hard().clone();
        let heirs = parent.and_then(|parent| self.strands.get_mut(parent)).map(|parent| std::mem::take(&mut parent.heirs));
        let mut heirs = heirs.unwrap_or_default();
        let mut moment = None;
        while let Some(last) = heirs.pop() {
            let idle = self.process_mut(process).is_some_and(|process| process.idle_chains.remove(&last));
            if idle && knowledge.hard().includes(last) {
                moment = Some(Moment { chain: last.chain, tick: last.tick.saturating_add(1) });
                break;
            }
        }
        if let Some(parent) = parent.and_then(|parent| self.strands.get_mut(parent)) {
            parent.heirs = heirs;
        }
        let moment = moment.or_else(|| self.idle_chain(process, &knowledge));
        let moment = moment.unwrap_or_else(|| self.strands.new_chain());
        (Clock::new(moment, knowledge), birth)
    }

    /// The end of a strand that is known to be over, though its parent was not the one that waited for it (a gathering
    /// future, a callback): its chain goes on. Looks at a few only.
    fn idle_chain(&mut self, process: ProcessId, knowledge: &Knowledge) -> Option<Moment> {
        let process = self.process_mut(process)?;
        for _ in 0..IDLE_LOOKS {
            let last = process.idle_line.pop_front()?;
            if !process.idle_chains.contains(&last) {
                continue;
            }
            if knowledge.hard().includes(last) {
                process.idle_chains.remove(&last);
                return Some(Moment { chain: last.chain, tick: last.tick.saturating_add(1) });
            }
            process.idle_line.push_back(last);
        }
        None
    }

    // ---- names

    /// Does a loop go on until what is looked at there is so?
    fn is_polled(&self, process: ProcessId, stack: StackId) -> bool {
        self.definitions(process).and_then(|all| all.stack(stack)).is_some_and(|entry| entry.in_poll)
    }

    fn note_path(&mut self, process: ProcessId, path: TextId) {
        if let Some(process) = self.process_mut(process) {
            process.definitions.texts.is_path(path);
        }
    }

    /// Remembers by which site an object is best named, and of which class a function's `self` is.
    fn name_object(&mut self, process: ProcessId, access: &Access) {
        let Some(process) = self.processes.get_mut(process.0 as usize) else { return };
        let Some(site_id) = process.definitions.site_id(access.stack) else { return };
        let Some(site) = process.definitions.site(site_id) else { return };
        if site.rank == 0 {
            return;
        }
        let Some(object) = process.objects.get_mut(&access.object) else { return };
        if site.rank > object.name_rank {
            object.name_rank = site.rank;
            object.named_by = Some(site_id);
        }
        if site.of_self && object.shape == Shape::Instance {
            process.definitions.learn_self_type(site_id, object.type_name);
        }
    }
}
