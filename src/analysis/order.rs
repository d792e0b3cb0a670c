//! How events change strands, clocks and locks: the rules of hard order and of mutual exclusion. It judges no access.

use std::sync::Arc;

use super::clock::{Clock, Knowledge, Moment, Stamp};
use super::history::{Step, What};
use super::lock::{Held, LockId, Part};
use super::process::{TaskState, ThreadState, TokenState};
use super::strand::{NewStrand, StrandId, Waiting};
use super::world::World;
use crate::event::{
    Access, Action, ChannelId, Event, KeyId, LockKind, ObjectId, ProcessId, Record, Shape, StackId, TaskId, TextId, ThreadToken,
    Tid,
};

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
            _ => known.or_else(|| self.begin_thread(record.process, record.thread, None, TextId(u32::MAX))),
        }
    }

    pub(super) fn advance(&mut self, strand: StrandId, record: &Record) {
        let process = record.process;
        match &record.event {
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
            Event::Signal { channel } => self.signal(strand, *channel, None),
            Event::Observe { channel } => self.observe(strand, *channel),
            Event::LockNew { lock, kind, stack } => {
                self.add_lock(process, *lock, *kind, Some(*stack));
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
            Event::Access(access) => self.note_access(strand, process, access),
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
                if let Some(process) = self.process_mut(record.process) {
                    process.ended = true;
                    process.threads.clear();
                    process.tasks.clear();
                }
            }
            _ => {}
        }
    }

    // ---- threads

    fn begin_thread(&mut self, process: ProcessId, tid: Tid, token: Option<ThreadToken>, name: TextId) -> Option<StrandId> {
        let start = token.and_then(|token| self.process_mut(process)?.tokens.get_mut(&token)?.start.take());
        let (clock, birth, started, parent) = match start {
            Some((stamp, stack, parent)) => {
                let (clock, birth) = self.clock_after(process, &stamp, Some(parent));
                (clock, Some(birth), stack, Some(parent))
            }
            None => (Clock::new(self.strands.new_chain(), Knowledge::default()), None, StackId(0), None),
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
        let Some(process) = self.strands.get(strand).map(|strand| strand.process) else { return };
        let ended = self.process(process).and_then(|process| process.tokens.get(&token)).and_then(|token| token.strand);
        let Some(other) = ended.and_then(|other| self.strands.get(other)) else { return };
        let ends = other.farewell.as_ref().map(|stamp| stamp.moment);
        let stamp = other.farewell.clone().unwrap_or_else(|| other.clock.peek());
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
            if let Some(token) = forgotten.and_then(|forgotten| forgotten.token) {
                process.tokens.remove(&token);
            }
        }
    }

    /// A clock for a strand that begins after `stamp`: on the chain of an ended strand that is known to be over, or on
    /// a new one.
    fn clock_after(&mut self, process: ProcessId, stamp: &Stamp, parent: Option<StrandId>) -> (Clock, Arc<super::clock::Known>) {
        let mut knowledge = stamp.knowledge.clone();
        knowledge.join(stamp);
        let birth = Arc::new(knowledge.hard().clone());
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

    // ---- tasks

    fn new_task(&mut self, parent: StrandId, task: TaskId, future: ChannelId, name: TextId, stack: StackId) {
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

    fn switch_task(&mut self, from: StrandId, task: Option<TaskId>, record: &Record) {
        let Some(process) = self.process_mut(record.process) else { return };
        let to = match task {
            Some(task) => process.tasks.get(&task).map(|task| task.strand),
            None => None,
        };
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

    fn end_task(&mut self, process: ProcessId, task: TaskId) {
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

    // ---- channels

    fn signal(&mut self, strand: StrandId, channel: ChannelId, ends: Option<Moment>) {
        let Some(strand) = self.strands.get_mut(strand) else { return };
        let stamp = strand.clock.publish();
        let process = strand.process;
        if let Some(process) = self.process_mut(process) {
            process.channels.signal(channel, &stamp, ends);
        }
    }

    fn observe(&mut self, strand: StrandId, channel: ChannelId) {
        let Some(process) = self.strands.get(strand).map(|strand| strand.process) else { return };
        let Some(process) = self.processes.get(process.0 as usize) else { return };
        let Some((knowledge, ends)) = process.channels.observe(channel) else { return };
        let Some(strand) = self.strands.get_mut(strand) else { return };
        strand.clock.join_all(knowledge);
        if let Some(last) = ends
            && strand.heirs.len() < HEIRS
        {
            strand.heirs.push(last);
        }
    }

    fn join(&mut self, strand: StrandId, stamp: &Stamp, ends: Option<Moment>) {
        let Some(strand) = self.strands.get_mut(strand) else { return };
        strand.clock.join(stamp);
        if let Some(last) = ends
            && strand.heirs.len() < HEIRS
        {
            strand.heirs.push(last);
        }
    }

    // ---- locks

    fn add_lock(&mut self, process: ProcessId, object: ObjectId, kind: LockKind, created: Option<StackId>) -> Option<LockId> {
        if kind == LockKind::File
            && let Some(shared) = self.file_lock(process, object)
        {
            self.process_mut(process)?.locks.insert(object, shared);
            return Some(shared);
        }
        let id = self.locks.add(process, object, kind, created);
        self.process_mut(process)?.locks.insert(object, id);
        Some(id)
    }

    /// The lock of the same file in whichever process.
    fn file_lock(&self, process: ProcessId, object: ObjectId) -> Option<LockId> {
        let path = self.object(process, object).and_then(|object| object.label)?;
        let path = self.text(process, path);
        let mut same = self.locks.iter().filter(|(_, lock)| {
            let label = self.object(lock.process, lock.object).and_then(|object| object.label);
            lock.kind == LockKind::File && label.is_some_and(|label| self.text(lock.process, label) == path)
        });
        same.next().map(|(id, _)| id)
    }

    fn ensure_lock(&mut self, process: ProcessId, object: ObjectId) -> Option<LockId> {
        match self.process(process)?.locks.get(&object) {
            Some(lock) => Some(*lock),
            None => self.add_lock(process, object, LockKind::Lock, None),
        }
    }

    fn acquire(&mut self, strand: StrandId, lock: LockId, stack: StackId, time: u64) {
        let place = self.strands.get(strand).map(|strand| strand.process).zip(Some(stack));
        let by_user = place.is_some_and(|(process, stack)| self.is_outside_stdlib(process, stack));
        let Some(held) = self.locks.get_mut(lock) else { return };
        if held.acquired.is_none() || by_user {
            held.acquired = Some(stack);
        }
        let Some(strand_state) = self.strands.get_mut(strand) else { return };
        // A task that waits for an asyncio lock takes others on the way.
        strand_state.waiting = strand_state.waiting.filter(|waiting| waiting.lock != lock);
        strand_state.clock.join_all(&held.signalled);
        if let Some(again) = strand_state.held.iter_mut().find(|entry| entry.lock == lock && held.kind == LockKind::RLock) {
            again.again = again.again.saturating_add(1);
            return;
        }
        let stale = if held.excludes() { std::mem::take(&mut held.holders) } else { Vec::new() };
        held.holders.push(strand);
        held.writes.clear();
        if held.excludes() {
            self.acquisitions += 1;
            let acquisition = self.acquisitions;
            strand_state.held.push(Held { lock, acquisition, stack, since: time, again: 0, excludes: true });
            strand_state.held_changed();
        }
        // Its release was not seen: whoever held it does not any more.
        for holder in stale.into_iter().filter(|holder| *holder != strand) {
            if let Some(holder) = self.strands.get_mut(holder) {
                holder.held.retain(|entry| entry.lock != lock);
                holder.held_changed();
            }
        }
    }

    /// Nobody holds what does not exist, whether or not its release was seen.
    fn lock_is_gone(&mut self, lock: LockId) {
        let holders = self.locks.get_mut(lock).map(|gone| std::mem::take(&mut gone.holders));
        for holder in holders.unwrap_or_default() {
            if let Some(holder) = self.strands.get_mut(holder) {
                holder.held.retain(|entry| entry.lock != lock);
                holder.held_changed();
            }
        }
        self.locks.object_gone(lock);
    }

    fn is_outside_stdlib(&self, process: ProcessId, stack: StackId) -> bool {
        self.site(process, stack).is_some_and(|site| site.origin != super::Origin::Standard)
    }

    fn release(&mut self, strand: StrandId, lock: LockId, time: u64) {
        let Some(held) = self.locks.get_mut(lock) else { return };
        let Some(position) = held.holders.iter().position(|holder| *holder == strand) else {
            return self.release_for_others(strand, lock);
        };
        let Some(strand_state) = self.strands.get_mut(strand) else { return };
        if let Some(entry) = strand_state.held.iter_mut().find(|entry| entry.lock == lock && entry.again > 0) {
            entry.again -= 1;
            return;
        }
        held.holders.remove(position);
        if let Some(entry) = strand_state.held.iter().find(|entry| entry.lock == lock) {
            self.history.note(Step { time, strand, what: What::Released(lock, entry.acquisition) });
            strand_state.held.retain(|entry| entry.lock != lock);
            strand_state.held_changed();
        }
        if !held.writes.is_empty() {
            let stamp = strand_state.clock.publish();
            held.publish(&stamp);
        }
    }

    /// Released by a strand that does not hold it: a signal to the next one that acquires it. Unless it was acquired
    /// before watching began: then what this strand did so far was done under a lock that nobody knows of.
    fn release_for_others(&mut self, strand: StrandId, lock: LockId) {
        let Some(held) = self.locks.get_mut(lock) else { return };
        let Some(strand_state) = self.strands.get_mut(strand) else { return };
        let stamp = strand_state.clock.publish();
        held.signalled.join(&stamp);
        if held.created.is_none() && held.holders.is_empty() && !held.signals {
            self.forgiven.insert(stamp.moment.chain, stamp.moment.tick);
            return;
        }
        held.signals = true;
        for holder in std::mem::take(&mut held.holders) {
            if let Some(holder) = self.strands.get_mut(holder) {
                holder.held.retain(|entry| entry.lock != lock);
                holder.held_changed();
            }
        }
    }

    /// Records were lost: what was done so far is taken as ordered before all that follows.
    pub(super) fn forgive_all(&mut self, process: ProcessId) {
        for id in self.strands.ids_of(process) {
            if let Some(strand) = self.strands.get_mut(id) {
                let moment = strand.clock.publish().moment;
                self.forgiven.insert(moment.chain, moment.tick);
            }
        }
    }

    // ---- order by what critical sections check

    fn note_access(&mut self, strand: StrandId, process: ProcessId, access: &Access) {
        self.name_object(process, access);
        let Some(state) = self.strands.get(strand) else { return };
        if state.held.is_empty() {
            return;
        }
        let whole = (access.object, KeyId::WHOLE);
        let part = (access.object, access.key);
        let locks: smallvec::SmallVec<[LockId; 4]> =
            state.held.iter().filter(|held| held.excludes).map(|held| held.lock).collect();
        if access.action == Action::Read {
            if self.site(process, access.stack).is_some_and(|site| site.checks) {
                for lock in locks {
                    self.follow_sections(strand, lock, part);
                }
            }
            return;
        }
        for lock in locks {
            if let Some(lock) = self.locks.get_mut(lock) {
                lock.note_write(part);
                if access.action != Action::Write {
                    lock.note_write(whole);
                }
            }
        }
    }

    /// A check reads, in a critical section, what earlier critical sections of the same lock wrote: they are before it.
    fn follow_sections(&mut self, strand: StrandId, lock: LockId, part: Part) {
        let Some(lock) = self.locks.get(lock) else { return };
        let Some(strand) = self.strands.get_mut(strand) else { return };
        let mut news = false;
        for stamp in [lock.published.get(&part), lock.overflow.as_ref()].into_iter().flatten() {
            news |= strand.clock.join_soft(stamp);
        }
        let process = strand.process;
        if news
            && let Some(object) = self.process_mut(process).and_then(|process| process.objects.get_mut(&part.0))
            && !object.sources.contains(&part.1)
        {
            object.sources.push(part.1);
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
            let (code, type_name) = (site.code, object.type_name);
            process.definitions.learn_self_type(code, type_name);
        }
    }
}
