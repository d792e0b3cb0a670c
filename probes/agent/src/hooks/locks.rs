//! `_thread.lock` and `_thread.RLock`: made, waited for, acquired, released. Conditions, semaphores, events and queues
//! are written in Python on top of these. What becomes of an acquisition is decided in [`crate::holders`].

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use racetrace_probes::wire::Kind;

use crate::ffi::{self, Obj, field};
use crate::holders::{self, Outcome, Taking, leave, take, take_back, word};
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
    exchange_slot(layout, lock, type_slot::NEW, lock_new as *const () as usize, &LOCK_NEW);
    exchange_slot(layout, rlock, type_slot::NEW, rlock_new as *const () as usize, &RLOCK_NEW);
}

/// A lock object is freed.
pub fn ended(state: &mut State, lock: Obj) {
    state.kept.retain(|kept| kept.lock != lock);
    holders::ended(state, lock);
}

/// Makes a lock known, outside the gate.
#[cold]
fn make_known(fixed: &Fixed, lock: Obj) {
    let layout = &fixed.layout;
    type_info(layout, layout.type_of(lock));
    let kind = if is_reentrant(layout, lock) { RLOCK } else { LOCK };
    state::with(|state, _| {
        // So that its end is told.
        let id = state.objects.lock(layout, &mut state.names, lock);
        if id != 0 && state.locks.set(lock as u64, 0) && fixed.is_joined() {
            let mut slot = ring::slot(Kind::LockNew, thread::tid());
            (slot.a, slot.small) = (id, kind);
            ring::push(slot);
        }
    });
}

fn is_reentrant(layout: &Layout, lock: Obj) -> bool {
    // SAFETY: two type objects.
    unsafe { ffi::PyType_IsSubtype(layout.type_of(lock), RLOCK_TYPE.load(Ordering::Relaxed) as Obj) != 0 }
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
        let taken = state::within(fixed, |state, layout| {
            let stack = state.stacks.known(layout, frame, None)?;
            Some(take(state, layout, thread, Taking { lock, stack, patience, at_once }))
        });
        match taken.flatten() {
            Some(outcome) if outcome != Outcome::Unknown => outcome,
            _ => enter(fixed, thread, Taking { lock, stack: stacks::stack(fixed, frame, None), patience, at_once }),
        }
    });
    outcome.unwrap_or(Outcome::Done)
}

#[cold]
fn enter(fixed: &Fixed, thread: &'static Thread, taking: Taking) -> Outcome {
    let take = || state::within(fixed, |state, layout| take(state, layout, thread, taking)).unwrap_or(Outcome::Done);
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
        if state::within(fixed, |state, _| take_back(state, thread, lock)) != Some(true) {
            leaves(fixed, thread, lock);
        }
    });
}

/// The release of a lock that the ring was told of.
#[inline(never)]
fn leaves(fixed: &Fixed, thread: &'static Thread, lock: Obj) {
    let Some(frame) = frame(fixed, thread) else { return };
    let stack = stacks::stack(fixed, frame, None);
    let leave = || state::within(fixed, |state, layout| leave(state, layout, thread, lock, stack));
    if leave() == Some(Outcome::Unknown) {
        make_known(fixed, lock);
        leave();
    }
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
    if is_sentinel(lock) {
        return;
    }
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
    if call.is_bare(layout) {
        return FOREVER;
    }
    let blocking = call.argument(0, c"blocking");
    if blocking == object!(_Py_FalseStruct) || names::int(layout, blocking) == Some(0) {
        return NEVER;
    }
    let timeout = call.argument(1, c"timeout");
    if timeout.is_null() || is_negative(layout, timeout) { FOREVER } else { TIMEOUT }
}

fn is_negative(layout: &Layout, value: Obj) -> bool {
    let kind = layout.type_of(value);
    if kind == object!(PyFloat_Type) {
        // SAFETY: a float's value follows its header.
        return unsafe { field::<f64>(value, layout.header) } < 0.0;
    }
    names::int(layout, value).is_some_and(|number| number < 0)
}

/// Is the lock taken, so that acquiring it now would have to wait? Read without any barrier: only says whether to note a wait.
#[inline]
fn is_taken(layout: &Layout, lock: Obj) -> bool {
    // SAFETY: fields of the interpreter's lock objects, told apart by their size.
    unsafe {
        let class = layout.type_of(lock);
        if class as usize != LOCK_TYPE.load(Ordering::Relaxed) && is_reentrant(layout, lock) {
            let owner: u64 = field(lock, layout.header + 8);
            return owner != 0 && owner != libc::pthread_self() as u64;
        }
        let own = layout.slot::<isize>(class, type_slot::BASICSIZE) - layout.header as isize;
        if own == 8 { field::<u8>(lock, layout.header) & 1 != 0 } else { field::<u8>(lock, layout.header + 16) != 0 }
    }
}

fn acquire(call: &Call) -> Obj {
    let Some(fixed) = state::fixed() else { return call.go_on() };
    let patience = patience(&fixed.layout, call);
    if is_taken(&fixed.layout, call.receiver) {
        return acquire_taken(fixed, call, patience);
    }
    let result = call.go_on();
    if result == object!(_Py_TrueStruct)
        && acquired(fixed, thread::current(), call.receiver, patience, false) == Outcome::Sentinel
    {
        threads::joined_by_lock(fixed, call.receiver);
    }
    result
}

/// Somebody holds the lock: this is a join, or a wait, or a try that fails.
#[cold]
fn acquire_taken(fixed: &Fixed, call: &Call, patience: u8) -> Obj {
    let lock = call.receiver;
    if patience == NEVER {
        return try_taken(fixed, call);
    }
    if is_sentinel(lock) {
        if patience == FOREVER {
            threads::blocks_for_thread(fixed, lock);
        }
        let result = call.go_on();
        if result == object!(_Py_TrueStruct) {
            threads::joined_by_lock(fixed, lock);
        }
        return result;
    }
    let thread = thread::current();
    thread.outermost(|| tell(fixed));
    say(fixed, thread, Kind::LockWait, lock, patience);
    let result = call.go_on();
    if result == object!(_Py_TrueStruct) {
        acquired(fixed, thread, lock, patience, true);
    } else {
        say(fixed, thread, Kind::LockFailed, lock, patience);
    }
    result
}

/// The try succeeds only if the lock was let go in the meantime.
fn try_taken(fixed: &Fixed, call: &Call) -> Obj {
    let result = call.go_on();
    if result == object!(_Py_TrueStruct) && acquired(fixed, thread::current(), call.receiver, NEVER, true) == Outcome::Sentinel {
        threads::joined_by_lock(fixed, call.receiver);
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
