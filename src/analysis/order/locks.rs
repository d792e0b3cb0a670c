//! Locks: made, taken, given back, used as signals; and the order that critical sections give which check what others
//! wrote. It does not judge who holds what when.

use super::super::definitions::SiteId;
use super::super::history::{Step, What};
use super::super::lock::{Held, LockId, Part};
use super::super::process::SOURCES;
use super::super::strand::StrandId;
use super::super::world::World;
use crate::event::{Access, Action, KeyId, LockKind, ObjectId, ProcessId, StackId};

/// Calls between a critical section and what is read in it for its sake.
const CALLERS: usize = 6;

impl World {
    pub(super) fn add_lock(
        &mut self,
        process: ProcessId,
        object: ObjectId,
        kind: LockKind,
        created: Option<StackId>,
    ) -> Option<LockId> {
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

    pub(super) fn ensure_lock(&mut self, process: ProcessId, object: ObjectId) -> Option<LockId> {
        match self.process(process)?.locks.get(&object) {
            Some(lock) => Some(*lock),
            None => self.add_lock(process, object, LockKind::Lock, None),
        }
    }

    pub(super) fn acquire(&mut self, strand: StrandId, lock: LockId, stack: StackId, time: u64) {
        let place = self.strands.get(strand).map(|strand| strand.process).zip(Some(stack));
        let by_user = place.is_some_and(|(process, stack)| self.is_outside_stdlib(process, stack));
        let at = place.and_then(|(process, stack)| self.site_id(process, stack));
        let says_alive = place.and_then(|(process, stack)| self.site(process, stack)).is_some_and(|site| site.says_alive);
        // Records of other processes may come a little late: their hold ends when its release comes.
        let others = self.holders_elsewhere(strand, lock);
        let kept = others.clone().unwrap_or_default();
        let Some(held) = self.locks.get_mut(lock) else { return };
        if held.acquired.is_none() || by_user {
            held.acquired = Some(stack);
        }
        let Some(strand_state) = self.strands.get_mut(strand) else { return };
        // A task that waits for an asyncio lock takes others on the way.
        strand_state.waiting = strand_state.waiting.filter(|waiting| waiting.lock != lock);
        strand_state.clock.join_all(&held.signalled);
        strand_state.jobs.learns(|known| known.join_all(&held.signalled));
        strand_state.jobs.locks();
        if let Some(again) = strand_state.held.iter_mut().find(|entry| entry.lock == lock && held.kind == LockKind::RLock) {
            again.again = again.again.saturating_add(1);
            return;
        }
        let stale = match others {
            Some(others) => {
                strand_state.held.retain(|entry| entry.lock != lock);
                std::mem::replace(&mut held.holders, others)
            }
            None if held.excludes_from(at) && !held.holders.is_empty() => std::mem::take(&mut held.holders),
            None => Vec::new(),
        };
        held.holders.push(strand);
        held.writes.clear();
        if held.excludes_from(at) && !says_alive {
            self.acquisitions += 1;
            let acquisition = self.acquisitions;
            strand_state.held.push(Held { lock, acquisition, stack, since: time, again: 0, excludes: true });
            strand_state.held_changed();
        }
        // Its release was not seen: whoever held it does not any more.
        for holder in stale.into_iter().filter(|holder| *holder != strand && !kept.contains(holder)) {
            if let Some(holder) = self.strands.get_mut(holder) {
                holder.held.retain(|entry| entry.lock != lock);
                holder.held_changed();
            }
        }
    }

    /// Of a lock on a file: those who hold it in other processes.
    fn holders_elsewhere(&self, strand: StrandId, lock: LockId) -> Option<Vec<StrandId>> {
        let held = self.locks.get(lock).filter(|lock| lock.kind == LockKind::File)?;
        let process_of = |id: StrandId| self.strands.get(id).map(|strand| strand.process);
        let own = process_of(strand);
        Some(held.holders.iter().copied().filter(|holder| process_of(*holder) != own).collect())
    }

    /// Nobody holds what does not exist, whether or not its release was seen.
    pub(super) fn lock_is_gone(&mut self, lock: LockId) {
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
        self.site(process, stack).is_some_and(|site| site.origin != super::super::Origin::Standard)
    }

    pub(super) fn release(&mut self, strand: StrandId, lock: LockId, time: u64) {
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
        if held.signals {
            // What tells others to go on does so whoever gives it back.
            let stamp = strand_state.clock.publish();
            held.signalled.join(&stamp);
            held.publish(&stamp);
        } else if !held.writes.is_empty() {
            let stamp = strand_state.clock.publish();
            held.publish(&stamp);
        }
    }

    /// Released by a strand that does not hold it: a signal to the next one that acquires it. Unless it was acquired
    /// before watching began: then what this strand did so far was done under a lock that nobody knows of.
    fn release_for_others(&mut self, strand: StrandId, lock: LockId) {
        let taken_at = self.taken_at(lock);
        let Some(held) = self.locks.get_mut(lock) else { return };
        let Some(strand_state) = self.strands.get_mut(strand) else { return };
        let stamp = strand_state.clock.publish();
        held.signalled.join(&stamp);
        if held.created.is_none() && held.holders.is_empty() && !held.signals {
            self.forgiven.insert(stamp.moment.chain, stamp.moment.tick);
            return;
        }
        if !held.signals && held.holders.is_empty() {
            held.handed_on = None;
        }
        if let Some(sites) = &mut held.handed_on {
            sites.extend(taken_at);
        }
        held.signals = true;
        for holder in std::mem::take(&mut held.holders) {
            if let Some(holder) = self.strands.get_mut(holder) {
                holder.held.retain(|entry| entry.lock != lock);
                holder.held_changed();
            }
        }
    }

    /// Where those took the lock who hold it now.
    fn taken_at(&self, lock: LockId) -> Vec<SiteId> {
        let holders = self.locks.get(lock).map_or(&[][..], |lock| &lock.holders);
        let holders = holders.iter().filter_map(|holder| self.strands.get(*holder));
        let taken = holders.filter_map(|holder| Some((holder.process, holder.held.iter().find(|held| held.lock == lock)?.stack)));
        taken.filter_map(|(process, stack)| self.site_id(process, stack)).collect()
    }

    /// Records were lost: what was done so far is taken as ordered before all that follows.
    pub(in crate::analysis) fn forgive_all(&mut self, process: ProcessId) {
        for id in self.strands.ids_of(process) {
            if let Some(strand) = self.strands.get_mut(id) {
                let moment = strand.clock.publish().moment;
                self.forgiven.insert(moment.chain, moment.tick);
            }
        }
    }

    pub(super) fn note_access(&mut self, strand: StrandId, process: ProcessId, access: &Access) {
        let Some(state) = self.strands.get(strand) else { return };
        if state.held.is_empty() {
            return;
        }
        let whole = (access.object, KeyId::WHOLE);
        let part = (access.object, access.key);
        let held = || state.held.iter().filter(|held| held.excludes);
        if access.action == Action::Read {
            let Some(site) = self.site(process, access.stack) else { return };
            let (checks, returns) = (site.checks, site.returns);
            let tells = |lock: LockId| self.locks.get(lock).is_some_and(|lock| lock.has_published(&part));
            let followed = held()
                .filter(|held| (checks || returns) && tells(held.lock))
                .filter(|held| checks || self.is_taken_by_caller(process, access.stack, held.stack))
                .map(|held| held.lock)
                .collect::<smallvec::SmallVec<[LockId; 4]>>();
            for lock in followed {
                self.follow_sections(strand, lock, part);
            }
            return;
        }
        let locks: smallvec::SmallVec<[LockId; 4]> = held().map(|held| held.lock).collect();
        for lock in locks {
            if let Some(lock) = self.locks.get_mut(lock) {
                lock.note_write(part);
                if access.action != Action::Write {
                    lock.note_write(whole);
                }
            }
        }
    }

    /// Was the lock taken by a function that has called this one? What is returned to it is checked in the same critical
    /// section: the predicate of a condition, `while not self.is_ready(): …`.
    fn is_taken_by_caller(&self, process: ProcessId, here: StackId, taken: StackId) -> bool {
        let Some(definitions) = self.definitions(process) else { return false };
        let code = |site: u32| definitions.site(site).map(|site| site.code);
        let users = |site: u32| definitions.site(site).is_some_and(|site| site.origin != super::super::Origin::Standard);
        let Some((_, taker)) = definitions.walk(taken).find(|(_, entry)| users(entry.site)) else { return false };
        let callers = definitions.walk(here).skip(1).take(CALLERS);
        callers.into_iter().any(|(_, caller)| caller.parent == taker.parent && code(caller.site) == code(taker.site))
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
            && object.sources.len() < SOURCES
        {
            object.sources.insert(part.1);
        }
    }
}
