//! `_thread.lock` and `_thread.RLock`: made, waited for, acquired, released. Conditions, semaphores, events and queues
//! are written in Python on top of these.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use racetrace_probes::wire::Kind;

use crate::ffi::{self, Obj, field};
use crate::hooks::{Call, exchange_all, exchange_slot, of, threads};
use crate::layout::{Layout, type_slot};
use crate::objects::type_info;
use crate::state::{self, Fixed};
use crate::{names, object, ring, stacks, tasks, thread};

const LOCK: u8 = 0;
const RLOCK: u8 = 1;
const FOREVER: u8 = 0;
const TIMEOUT: u8 = 1;
const NEVER: u8 = 2;

static LOCK_NEW: AtomicUsize = AtomicUsize::new(0);
static RLOCK_NEW: AtomicUsize = AtomicUsize::new(0);
static RLOCK_TYPE: AtomicUsize = AtomicUsize::new(0);

pub fn start(layout: &Layout) {
    // SAFETY: imports a builtin module.
    let module = unsafe { ffi::PyImport_ImportModule(c"_thread".as_ptr()) };
    let lock = of(module, c"LockType");
    let rlock = of(module, c"RLock");
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

/// Says something about a lock, with the stack of the running thread.
fn say(fixed: &Fixed, kind: Kind, lock: Obj, small: u8, times: u64) {
    let layout = &fixed.layout;
    let frame = tasks::current_frame(layout);
    if frame.is_null() {
        return;
    }
    tasks::strand(fixed, frame);
    let stack = stacks::stack(fixed, frame, None);
    say_at(fixed, kind, lock, small, times, stack);
}

fn say_at(fixed: &Fixed, kind: Kind, lock: Obj, small: u8, times: u64, stack: u32) {
    let layout = &fixed.layout;
    type_info(layout, layout.type_of(lock));
    thread::next_epoch();
    state::with(|state, _| {
        state.recent.flush_thread();
        let mut slot = ring::slot(kind, thread::tid());
        slot.a = state.objects.lock(layout, &mut state.names, lock);
        (slot.small, slot.stack) = (small, stack);
        if slot.a != 0 {
            (0..times).for_each(|_| ring::push(slot));
        }
    });
}

fn note(kind: Kind, lock: Obj, small: u8, times: u64) {
    if let Some(fixed) = state::fixed() {
        thread::outermost(|| {
            if kind == Kind::LockNew || SECOND_STRAND.load(Ordering::Relaxed) {
                return say(fixed, kind, lock, small, times);
            }
            match kind {
                Kind::LockAcquired => keep(fixed, lock, small, times),
                Kind::LockReleased => (0..times).for_each(|_| give_up(lock)),
                Kind::LockWait => {
                    tell(fixed);
                    say(fixed, kind, lock, small, times);
                }
                _ => {}
            }
        });
    }
}

/// While there is a single strand, nobody can be kept out: what it holds is only remembered.
static SECOND_STRAND: AtomicBool = AtomicBool::new(false);

/// A lock that the single strand holds.
#[derive(Clone, Copy)]
pub struct Held {
    pub lock: Obj,
    stack: u32,
    small: u8,
}

const MOST_HELD: usize = 256;

fn keep(fixed: &Fixed, lock: Obj, small: u8, times: u64) {
    let frame = tasks::current_frame(&fixed.layout);
    if frame.is_null() {
        return;
    }
    let stack = stacks::stack(fixed, frame, None);
    type_info(&fixed.layout, fixed.layout.type_of(lock));
    state::with(|state, layout| {
        // So that its end is told, should it come while the lock is held.
        state.objects.lock(layout, &mut state.names, lock);
        for _ in 0..times {
            if state.held.len() < MOST_HELD {
                state.held.push(Held { lock, stack, small });
            }
        }
    });
}

fn give_up(lock: Obj) {
    state::with(|state, _| {
        if let Some(at) = state.held.iter().rposition(|held| held.lock == lock) {
            state.held.remove(at);
        }
    });
}

/// From here on every operation is recorded; first what is held already.
pub fn tell(fixed: &Fixed) {
    if SECOND_STRAND.swap(true, Ordering::AcqRel) {
        return;
    }
    let held = state::with(|state, _| std::mem::take(&mut state.held)).unwrap_or_default();
    for Held { lock, stack, small } in held {
        say_at(fixed, Kind::LockAcquired, lock, small, 1, stack);
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
fn is_taken(layout: &Layout, lock: Obj) -> bool {
    // SAFETY: fields of the interpreter's lock objects, told apart by their size.
    unsafe {
        let class = layout.type_of(lock);
        let own = layout.slot::<isize>(class, type_slot::BASICSIZE) - layout.header as isize;
        let is_rlock = ffi::PyType_IsSubtype(class, RLOCK_TYPE.load(Ordering::Relaxed) as Obj) != 0;
        if is_rlock {
            let owner: u64 = field(lock, layout.header + 8);
            return owner != 0 && owner != libc::pthread_self() as u64;
        }
        if own == 8 { field::<u8>(lock, layout.header) & 1 != 0 } else { field::<u8>(lock, layout.header + 16) != 0 }
    }
}

fn acquire(call: &Call) -> Obj {
    let Some(fixed) = state::fixed() else { return call.go_on() };
    let lock = call.receiver;
    if let Some(token) = threads::ended_by_lock(lock) {
        let result = call.go_on();
        if result == object!(_Py_TrueStruct) {
            threads::joined(fixed, token);
        }
        return result;
    }
    let patience = patience(&fixed.layout, call);
    if patience != NEVER && is_taken(&fixed.layout, lock) {
        note(Kind::LockWait, lock, patience, 1);
    }
    let result = call.go_on();
    if result == object!(_Py_TrueStruct) {
        note(Kind::LockAcquired, lock, patience, 1);
    } else if result == object!(_Py_FalseStruct) {
        note(Kind::LockFailed, lock, patience, 1);
    }
    result
}

fn release(call: &Call) -> Obj {
    if threads::ended_by_lock(call.receiver).is_none() {
        note(Kind::LockReleased, call.receiver, 0, 1);
    }
    call.go_on()
}

/// `Condition.wait` gives an RLock up whole, however often it was taken.
fn release_all(call: &Call) -> Obj {
    let times = state::fixed().map_or(1, |fixed| depth(&fixed.layout, call.receiver));
    note(Kind::LockReleased, call.receiver, 0, times);
    call.go_on()
}

fn acquire_again(call: &Call) -> Obj {
    let result = call.go_on();
    if !result.is_null() {
        let times = state::fixed().map_or(1, |fixed| depth(&fixed.layout, call.receiver));
        note(Kind::LockAcquired, call.receiver, FOREVER, times);
    }
    result
}

/// How often an RLock is taken: `count`, which 3.14 keeps as one less.
fn depth(layout: &Layout, rlock: Obj) -> u64 {
    // SAFETY: a field of the interpreter's RLock.
    let count: u64 = unsafe { field(rlock, layout.header + 16) };
    (count + u64::from(layout.minor >= 14)).clamp(1, 64)
}

fn allocate(call: &Call) -> Obj {
    let lock = call.go_on();
    if !lock.is_null() {
        note(Kind::LockNew, lock, LOCK, 1);
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
        note(Kind::LockNew, lock, kind, 1);
    }
    lock
}
