//! Who holds which lock, as far as it matters. A critical section in which nothing is recorded says nothing: neither is it
//! order, nor does it keep anything out. So an acquisition is pending until its thread has something to record, and
//! forgotten when the release comes first. Not so while the thread holds other locks (the order in which locks are taken
//! matters), when it had to wait, or when the lock was ever released by another thread than the one that took it (then
//! acquiring it is being told something). How the agent hears of acquisitions is not its business.

use racetrace_probes::wire::Kind;

use crate::ffi::Obj;
use crate::layout::Layout;
use crate::ring;
use crate::state::State;
use crate::thread::Thread;

/// A lock that its thread holds and that the ring was not told of.
#[derive(Clone, Copy)]
pub struct Pending {
    lock: Obj,
    stack: u32,
    patience: u8,
    /// The thread's epoch before.
    epoch: u32,
}

/// What is known of a lock, as a word of `State::locks`: the thread that holds it, how often, and these.
pub mod word {
    use crate::thread::Thread;

    const HOLDER: u64 = (1 << 48) - 1;
    const ONCE: u64 = 1 << 48;
    const DEPTH: u64 = 0xff << 48;
    /// The lock whose release says that a thread has ended.
    pub const SENTINEL: u64 = 1 << 62;
    /// Another thread than its holder has released it once.
    pub const SIGNALS: u64 = 1 << 63;

    pub fn holder(word: u64) -> Option<&'static Thread> {
        // SAFETY: stored by `taken`, from a reference that lives for ever.
        unsafe { ((word & HOLDER) as *const Thread).as_ref() }
    }

    pub fn taken(word: u64, holder: &'static Thread) -> u64 {
        free(word) | std::ptr::from_ref(holder) as u64 & HOLDER | ONCE
    }

    pub fn free(word: u64) -> u64 {
        word & (SENTINEL | SIGNALS)
    }

    pub fn deeper(word: u64) -> u64 {
        if word & DEPTH == DEPTH { word } else { word + ONCE }
    }

    /// One level less; `None` when that was the last one.
    pub fn shallower(word: u64) -> Option<u64> {
        (word & DEPTH > ONCE).then(|| word - ONCE)
    }
}

/// Tells of the lock that the thread holds.
#[cold]
pub fn tell_pending(state: &mut State, layout: &Layout, thread: &'static Thread) {
    let Some(pending) = thread.pending.take() else { return };
    let mut slot = ring::slot(Kind::LockAcquired, thread.tid());
    slot.a = state.objects.lock(layout, &mut state.names, pending.lock);
    (slot.small, slot.stack) = (pending.patience, pending.stack);
    thread.holding.set(thread.holding.get() + 1);
    if slot.a != 0 {
        ring::push(slot);
    }
}

/// A lock object is freed.
pub fn ended(state: &mut State, lock: Obj) {
    let Some(word) = state.locks.remove(lock as u64) else { return };
    if let Some(holder) = word::holder(word) {
        let_go(holder, lock);
    }
}

/// Its holder does not hold it any more.
fn let_go(holder: &'static Thread, lock: Obj) {
    match holder.pending.get() {
        Some(pending) if pending.lock == lock => holder.pending.set(None),
        _ => holder.holding.set(holder.holding.get().saturating_sub(1)),
    }
}

/// An acquisition.
#[derive(Clone, Copy)]
pub struct Taking {
    pub lock: Obj,
    pub stack: u32,
    pub patience: u8,
    /// It matters even if nothing happens while the lock is held.
    pub at_once: bool,
}

/// What became of an operation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// The lock has to be made known first.
    Unknown,
    /// The lock says that a thread has ended; it keeps nothing out.
    Sentinel,
}

#[inline]
pub fn take(state: &mut State, layout: &Layout, thread: &'static Thread, taking: Taking) -> Outcome {
    let lock = taking.lock;
    let Some(known) = state.locks.value(lock as u64) else { return Outcome::Unknown };
    let before = *known;
    if before & word::SENTINEL != 0 {
        return Outcome::Sentinel;
    }
    let again = match word::holder(before) {
        Some(holder) if std::ptr::eq(holder, thread) => true,
        Some(holder) => {
            // Its release was not seen.
            let_go(holder, lock);
            false
        }
        None => false,
    };
    *known = if again { word::deeper(before) } else { word::taken(before, thread) };
    let mute = !taking.at_once
        && !again
        && before & word::SIGNALS == 0
        && thread.holding.get() == 0
        && thread.semaphores.get() == 0
        && thread.pending.get().is_none();
    if mute {
        let Taking { lock, stack, patience, .. } = taking;
        thread.pending.set(Some(Pending { lock, stack, patience, epoch: thread.epoch() }));
        thread.next_epoch();
        return Outcome::Done;
    }
    thread.next_epoch();
    let mut slot = ring::slot(Kind::LockAcquired, thread.tid());
    slot.a = state.objects.lock(layout, &mut state.names, lock);
    (slot.small, slot.stack) = (taking.patience, taking.stack);
    state.settle(layout, thread);
    if !again {
        thread.holding.set(thread.holding.get() + 1);
    }
    if slot.a != 0 {
        ring::push(slot);
    }
    Outcome::Done
}

/// The release of a lock that is pending: as if it had not been taken.
#[inline]
pub fn take_back(state: &mut State, thread: &'static Thread, lock: Obj) -> bool {
    match thread.pending.get() {
        Some(pending) if pending.lock == lock => {
            if let Some(known) = state.locks.value(lock as u64) {
                *known = word::free(*known);
            }
            thread.pending.set(None);
            thread.back_to_epoch(pending.epoch);
            true
        }
        _ => false,
    }
}

pub fn leave(state: &mut State, layout: &Layout, thread: &'static Thread, lock: Obj, stack: u32) -> Outcome {
    let Some(known) = state.locks.value(lock as u64) else { return Outcome::Unknown };
    let before = *known;
    if before & word::SENTINEL != 0 {
        return Outcome::Sentinel;
    }
    let holder = word::holder(before);
    match holder {
        Some(holder) if std::ptr::eq(holder, thread) => match word::shallower(before) {
            Some(after) => *known = after,
            None => {
                *known = word::free(before);
                let_go(thread, lock);
            }
        },
        other => {
            *known = word::free(before) | word::SIGNALS;
            if let Some(holder) = other {
                tell_and_let_go(state, layout, holder, lock);
            }
        }
    }
    thread.next_epoch();
    let mut slot = ring::slot(Kind::LockReleased, thread.tid());
    slot.a = state.objects.lock(layout, &mut state.names, lock);
    slot.stack = stack;
    state.settle(layout, thread);
    if slot.a != 0 {
        ring::push(slot);
    }
    Outcome::Done
}

/// The holder may not have told yet that it took the lock.
fn tell_and_let_go(state: &mut State, layout: &Layout, holder: &'static Thread, lock: Obj) {
    if holder.pending.get().is_some_and(|pending| pending.lock == lock) {
        state.settle(layout, holder);
    }
    let_go(holder, lock);
}
