//! `_thread.lock` and `_thread.RLock`: made, waited for, acquired, released. Conditions, semaphores, events and queues
//! are written in Python on top of these.
//!
//! A critical section in which nothing is recorded says nothing: neither is it order, nor does it keep anything out. So an
//! acquisition is pending until its thread has something to record, and forgotten when the release comes first. Not so
//! while the thread holds other locks (the order in which locks are taken matters), when it had to wait, or when the lock
//! was ever released by another thread than the one that took it (then acquiring it is being told something).

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use racetrace_probes::wire::Kind;

use crate::ffi::{self, Obj, field};
use crate::hooks::{Call, exchange_all, exchange_slot, of, threads};
use crate::layout::{Layout, type_slot};
use crate::objects::type_info;
use crate::state::{self, Fixed, State};
use crate::thread::{self, Thread};
use crate::{names, object, ring, stacks, tasks};

const LOCK: u8 = 0;
const RLOCK: u8 = 1;
const FOREVER: u8 = 0;
const TIMEOUT: u8 = 1;
const NEVER: u8 = 2;

static LOCK_NEW: AtomicUsize = AtomicUsize::new(0);
static RLOCK_NEW: AtomicUsize = AtomicUsize::new(0);
static LOCK_TYPE: AtomicUsize = AtomicUsize::new(0);
static RLOCK_TYPE: AtomicUsize = AtomicUsize::new(0);

pub fn start(layout: &Layout) {
    // SAFETY: imports a builtin module.
    let module = unsafe { ffi::PyImport_ImportModule(c"_thread".as_ptr()) };
    let lock = of(module, c"LockType");
    let rlock = of(module, c"RLock");
    LOCK_TYPE.store(lock as usize, Ordering::Relaxed);
    RLOCK_TYPE.store(rlock as usize, Ordering::Relaxed);
    for class in [lock, rlock] {
        exchange_all(layout, class, &[c"acquire", c"acquire_lock", c"__enter__"], acquire);
        exchange_all(layout, class, &[c"release", c"release_lock", c"__exit__"], release);
    }
    exchange_all(layout, rlock, &[c"_release_save"], release_all);
    exchange_all(layout, rlock, &[c"_acquire_restore"], acquire_again);
    exchange_all(layout, module, &[c"allocate_lock", c"allocate"], allocate);
    if let Some(original) = exchange_slot(layout, lock, type_slot::NEW, lock_new as *const () as usize) {
        LOCK_NEW.store(original, Ordering::Relaxed);
    }
    if let Some(original) = exchange_slot(layout, rlock, type_slot::NEW, rlock_new as *const () as usize) {
        RLOCK_NEW.store(original, Ordering::Relaxed);
    }
}

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
mod word {
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
    state.kept.retain(|kept| kept.lock != lock);
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
struct Taking {
    lock: Obj,
    stack: u32,
    patience: u8,
    /// It matters even if nothing happens while the lock is held.
    at_once: bool,
}

/// What became of an operation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Done,
    /// The lock has to be made known first.
    Unknown,
    /// The lock says that a thread has ended; it keeps nothing out.
    Sentinel,
}

#[inline]
fn take(state: &mut State, layout: &Layout, thread: &'static Thread, taking: Taking) -> Outcome {
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
fn take_back(state: &mut State, thread: &'static Thread, lock: Obj) -> bool {
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

fn leave(state: &mut State, layout: &Layout, thread: &'static Thread, lock: Obj, stack: u32) -> Outcome {
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

/// Makes a lock known, outside the gate.
#[cold]
fn make_known(fixed: &Fixed, lock: Obj) {
    let layout = &fixed.layout;
    type_info(layout, layout.type_of(lock));
    state::with(|state, _| {
        // So that its end is told.
        if state.objects.lock(layout, &mut state.names, lock) != 0 {
            state.locks.set(lock as u64, 0);
        }
    });
}

/// The lock says that a thread has ended.
pub fn mark_sentinel(lock: Obj) {
    state::with(|state, _| state.locks.set(lock as u64, word::SENTINEL));
}

fn is_sentinel(lock: Obj) -> bool {
    let known = state::with(|state, _| state.locks.get(lock as u64)).flatten();
    known.is_some_and(|word| word & word::SENTINEL != 0)
}

/// The running thread's innermost frame, once it is clear which strand runs.
#[inline]
fn frame(fixed: &Fixed, thread: &'static Thread) -> Option<Obj> {
    let frame = tasks::current_frame(&fixed.layout);
    if frame.is_null() {
        return None;
    }
    tasks::strand(fixed, thread, frame);
    Some(frame)
}

#[inline]
fn acquired(fixed: &Fixed, thread: &'static Thread, lock: Obj, patience: u8, at_once: bool) -> Outcome {
    let outcome = thread.outermost(|| {
        if !SECOND_STRAND.load(Ordering::Relaxed) {
            keep(fixed, lock, patience);
            return Outcome::Done;
        }
        let Some(frame) = frame(fixed, thread) else { return Outcome::Done };
        let stack = stacks::stack(fixed, frame, None);
        enter(fixed, thread, Taking { lock, stack, patience, at_once })
    });
    outcome.unwrap_or(Outcome::Done)
}

#[inline]
fn enter(fixed: &Fixed, thread: &'static Thread, taking: Taking) -> Outcome {
    let take = || state::with(|state, layout| take(state, layout, thread, taking)).unwrap_or(Outcome::Done);
    match take() {
        Outcome::Unknown => {
            make_known(fixed, taking.lock);
            take()
        }
        outcome => outcome,
    }
}

#[inline]
fn released(fixed: &Fixed, thread: &'static Thread, lock: Obj) {
    thread.outermost(|| {
        if !SECOND_STRAND.load(Ordering::Relaxed) {
            return give_up(lock);
        }
        // Another task may be running than the one that took the lock.
        if thread.loops() > 0 && frame(fixed, thread).is_none() {
            return;
        }
        if state::with(|state, _| take_back(state, thread, lock)) == Some(true) {
            return;
        }
        let Some(frame) = frame(fixed, thread) else { return };
        let stack = stacks::stack(fixed, frame, None);
        let leave = || state::with(|state, layout| leave(state, layout, thread, lock, stack));
        if leave() == Some(Outcome::Unknown) {
            make_known(fixed, lock);
            leave();
        }
    });
}

/// Says something else about a lock, with the stack of the running thread.
fn say(fixed: &Fixed, thread: &'static Thread, kind: Kind, lock: Obj, small: u8) {
    thread.outermost(|| {
        let Some(frame) = frame(fixed, thread) else { return };
        let stack = stacks::stack(fixed, frame, None);
        make_known_once(fixed, lock);
        let layout = &fixed.layout;
        thread.next_epoch();
        state::with(|state, _| {
            let mut slot = ring::slot(kind, thread.tid());
            slot.a = state.objects.lock(layout, &mut state.names, lock);
            (slot.small, slot.stack) = (small, stack);
            if slot.a != 0 {
                state.say(layout, thread, slot);
            }
        });
    });
}

fn make_known_once(fixed: &Fixed, lock: Obj) {
    if state::with(|state, _| state.locks.get(lock as u64).is_none()) == Some(true) {
        make_known(fixed, lock);
    }
}

/// While there is a single strand, nobody can be kept out: what it holds is only remembered.
static SECOND_STRAND: AtomicBool = AtomicBool::new(false);

/// A lock that the single strand holds.
#[derive(Clone, Copy)]
pub struct Kept {
    lock: Obj,
    stack: u32,
    patience: u8,
}

const MOST_KEPT: usize = 256;

fn keep(fixed: &Fixed, lock: Obj, patience: u8) {
    let frame = tasks::current_frame(&fixed.layout);
    if frame.is_null() {
        return;
    }
    let stack = stacks::stack(fixed, frame, None);
    make_known_once(fixed, lock);
    state::with(|state, _| {
        if state.kept.len() < MOST_KEPT {
            state.kept.push(Kept { lock, stack, patience });
        }
    });
}

fn give_up(lock: Obj) {
    state::with(|state, _| {
        if let Some(at) = state.kept.iter().rposition(|kept| kept.lock == lock) {
            state.kept.remove(at);
        }
    });
}

/// From here on every operation counts; first what is held already.
pub fn tell(fixed: &Fixed) {
    if SECOND_STRAND.swap(true, Ordering::AcqRel) {
        return;
    }
    let kept = state::with(|state, _| std::mem::take(&mut state.kept)).unwrap_or_default();
    for Kept { lock, stack, patience } in kept {
        enter(fixed, thread::current(), Taking { lock, stack, patience, at_once: true });
    }
}

/// `acquire(blocking=True, timeout=-1)`.
fn patience(layout: &Layout, call: &Call) -> u8 {
    if call.is_bare() {
        return FOREVER;
    }
    let blocking = call.argument(0, c"blocking");
    if blocking == object!(_Py_FalseStruct) || is_zero(layout, blocking) {
        return NEVER;
    }
    let timeout = call.argument(1, c"timeout");
    if timeout.is_null() || is_negative(layout, timeout) { FOREVER } else { TIMEOUT }
}

fn is_zero(layout: &Layout, value: Obj) -> bool {
    !value.is_null() && layout.type_of(value) == object!(PyLong_Type) && names::small_int(layout, value) == Some(0)
}

fn is_negative(layout: &Layout, value: Obj) -> bool {
    let kind = layout.type_of(value);
    if kind == object!(PyFloat_Type) {
        // SAFETY: a float's value follows its header.
        return unsafe { field::<f64>(value, layout.header) } < 0.0;
    }
    kind == object!(PyLong_Type) && names::small_int(layout, value).is_some_and(|number| number < 0)
}

/// Is the lock taken, so that acquiring it now would have to wait? Read without any barrier: only says whether to note a wait.
#[inline]
fn is_taken(layout: &Layout, lock: Obj) -> bool {
    // SAFETY: fields of the interpreter's lock objects, told apart by their size.
    unsafe {
        let class = layout.type_of(lock);
        if class as usize != LOCK_TYPE.load(Ordering::Relaxed)
            && ffi::PyType_IsSubtype(class, RLOCK_TYPE.load(Ordering::Relaxed) as Obj) != 0
        {
            let owner: u64 = field(lock, layout.header + 8);
            return owner != 0 && owner != libc::pthread_self() as u64;
        }
        let own = layout.slot::<isize>(class, type_slot::BASICSIZE) - layout.header as isize;
        if own == 8 { field::<u8>(lock, layout.header) & 1 != 0 } else { field::<u8>(lock, layout.header + 16) != 0 }
    }
}

fn acquire(call: &Call) -> Obj {
    let Some(fixed) = state::fixed() else { return call.go_on() };
    if is_taken(&fixed.layout, call.receiver) {
        return acquire_taken(fixed, call);
    }
    let result = call.go_on();
    if result == object!(_Py_TrueStruct) {
        let patience = patience(&fixed.layout, call);
        if acquired(fixed, thread::current(), call.receiver, patience, false) == Outcome::Sentinel {
            threads::joined_by_lock(fixed, call.receiver);
        }
    }
    result
}

/// Somebody holds the lock: this is a join, or a wait, or a try that fails.
fn acquire_taken(fixed: &Fixed, call: &Call) -> Obj {
    let lock = call.receiver;
    if is_sentinel(lock) {
        if patience(&fixed.layout, call) == FOREVER {
            threads::blocks_for_thread(fixed, lock);
        }
        let result = call.go_on();
        if result == object!(_Py_TrueStruct) {
            threads::joined_by_lock(fixed, lock);
        }
        return result;
    }
    let thread = thread::current();
    let patience = patience(&fixed.layout, call);
    if patience != NEVER {
        thread.outermost(|| tell(fixed));
        say(fixed, thread, Kind::LockWait, lock, patience);
    }
    let result = call.go_on();
    if result == object!(_Py_TrueStruct) {
        acquired(fixed, thread, lock, patience, true);
    } else if patience != NEVER {
        say(fixed, thread, Kind::LockFailed, lock, patience);
    }
    result
}

fn release(call: &Call) -> Obj {
    if let Some(fixed) = state::fixed() {
        released(fixed, thread::current(), call.receiver);
    }
    call.go_on()
}

/// `Condition.wait` gives an RLock up whole, however often it was taken.
fn release_all(call: &Call) -> Obj {
    if let Some(fixed) = state::fixed() {
        let times = depth(&fixed.layout, call.receiver);
        (0..times).for_each(|_| released(fixed, thread::current(), call.receiver));
    }
    call.go_on()
}

fn acquire_again(call: &Call) -> Obj {
    let result = call.go_on();
    if let (false, Some(fixed)) = (result.is_null(), state::fixed()) {
        let times = depth(&fixed.layout, call.receiver);
        for _ in 0..times {
            acquired(fixed, thread::current(), call.receiver, FOREVER, false);
        }
    }
    result
}

/// How often an RLock is taken: `count`, which 3.14 keeps as one less.
fn depth(layout: &Layout, rlock: Obj) -> u64 {
    // SAFETY: a field of the interpreter's RLock.
    let count: u64 = unsafe { field(rlock, layout.header + 16) };
    (count + u64::from(layout.minor >= 14)).clamp(1, 64)
}

fn note_new(lock: Obj, kind: u8) {
    if let Some(fixed) = state::fixed() {
        say(fixed, thread::current(), Kind::LockNew, lock, kind);
    }
}

fn allocate(call: &Call) -> Obj {
    let lock = call.go_on();
    if !lock.is_null() {
        note_new(lock, LOCK);
    }
    lock
}

unsafe extern "C-unwind" fn lock_new(class: Obj, args: Obj, kwargs: Obj) -> Obj {
    made(&LOCK_NEW, LOCK, class, args, kwargs)
}

unsafe extern "C-unwind" fn rlock_new(class: Obj, args: Obj, kwargs: Obj) -> Obj {
    made(&RLOCK_NEW, RLOCK, class, args, kwargs)
}

fn made(original: &AtomicUsize, kind: u8, class: Obj, args: Obj, kwargs: Obj) -> Obj {
    // SAFETY: `tp_new` as it was in this slot.
    let lock =
        unsafe { std::mem::transmute::<usize, ffi::KeywordFunction>(original.load(Ordering::Relaxed))(class, args, kwargs) };
    if !lock.is_null() && ring::recording() {
        note_new(lock, kind);
    }
    lock
}
