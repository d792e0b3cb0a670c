//! What the standard library's own Python code means for order: `Event.set` is a signal, `Event.wait` observes it.
//! A table of functions by module and qualified name; their bodies are not looked at.

use std::sync::atomic::{AtomicU64, Ordering};

use racetrace_probes::wire::Kind;

use crate::codes::Entry;
use crate::ffi::Obj;
use crate::hooks::{attribute, proxies};
use crate::objects::type_info;
use crate::state::{self, Fixed};
use crate::thread::Thread;
use crate::{callbacks, ffi, names, object, ring, stacks, tasks, thread};

mod role;

pub use role::{Role, role};

/// Small numbers of `LockNew`.
const SEMAPHORE: u8 = 2;
const ASYNC_LOCK: u8 = 3;
const ASYNC_SEMAPHORE: u8 = 4;

/// The function is entered; its arguments are in the frame.
pub fn entered(fixed: &Fixed, entry: &'static Entry, role: Role, frame: Obj) {
    if !role.acts_on_entry() {
        return;
    }
    let subject = argument(fixed, entry, frame, 0);
    let is_pools = is_semaphore(role) && called_from_pool(fixed, frame);
    let concerns = !(subject.is_null() || is_pools) && (role != Role::Job || has_several_workers(fixed, frame));
    if role.is_remembered() {
        // What an earlier call in this place, left by an exception, was called on is of no concern.
        let word = match concerns {
            true if is_channel(role) => channel_of(fixed, subject),
            true => subject as u64,
            false => 0,
        };
        state::with(|state, _| match word {
            0 => {
                state.calls.remove(frame as u64);
            }
            word => {
                state.calls.set(frame as u64, word);
            }
        });
    }
    if !concerns {
        return;
    }
    match role {
        Role::CallbackMade => return callbacks::made(fixed, argument(fixed, entry, frame, 1), subject, frame),
        Role::CallbackRuns if callbacks::is_step(fixed, subject) => return,
        _ => {}
    }
    tasks::strand(fixed, thread::current(), frame);
    match role {
        Role::Signal | Role::Meet => channel(fixed, Kind::Signal, subject),
        Role::Put => item(fixed, Kind::Signal, subject, argument(fixed, entry, frame, 1)),
        Role::SemaphoreRelease | Role::AsyncRelease => lock(fixed, Kind::LockReleased, subject, frame, 0, 0),
        Role::SemaphoreAcquire => lock(fixed, Kind::LockWait, subject, frame, patience(fixed, entry, frame), 0),
        Role::Job => {
            // What another piece of work was told is not told to this one.
            thread::current().observed.set((0, 0, 0));
            tasks::say(thread::current(), ring::slot(Kind::JobBegin, thread::tid()));
        }
        Role::Unawaited => crate::coroutines::dropped(fixed, frame, subject),
        Role::SignalLoop => {
            HANDED_OVER.fetch_add(1, Ordering::Relaxed);
            channel(fixed, Kind::Signal, subject);
        }
        Role::CallbackRuns => {
            callbacks::runs(fixed, subject);
            handed_over(fixed, subject);
        }
        Role::TaskDone => crate::hooks::asyncio::told_of(fixed, argument(fixed, entry, frame, 1)),
        Role::PytestStep => crate::tests::step(subject, argument(fixed, entry, frame, 1)),
        Role::UnittestRun => crate::tests::case(fixed, subject),
        Role::ProxyCall => proxies::called(fixed, frame),
        _ => {}
    }
}

/// An asyncio lock's `acquire` gives way: it has to wait. It awaits one future, and does so once.
pub fn suspends(fixed: &Fixed, entry: &'static Entry, frame: Obj) {
    let subject = argument(fixed, entry, frame, 0);
    if !subject.is_null() {
        tasks::strand(fixed, thread::current(), frame);
        lock(fixed, Kind::LockWait, subject, frame, 0, 0);
    }
}

/// The function returns `result`.
pub fn returned(fixed: &Fixed, entry: &'static Entry, role: Role, frame: Obj, result: Obj) {
    // Some functions forget `self` before they return (`Future.result` does), and it may be gone by now: so it is the
    // channel that they were called with, or of locks and queues, which do not, the object.
    let word = match role.is_remembered() {
        true => state::with(|state, _| state.calls.remove(frame as u64)).flatten(),
        false => Some(argument(fixed, entry, frame, 0) as u64).filter(|word| *word != 0),
    };
    let Some(word) = word else { return };
    let subject = word as Obj;
    tasks::strand(fixed, thread::current(), frame);
    let is_true = result == object!(_Py_TrueStruct);
    match role {
        Role::SignalWhenDone => tell(Kind::Signal, word, std::ptr::null_mut()),
        Role::Observe | Role::Meet => tell(Kind::Observe, word, std::ptr::null_mut()),
        // Without a result it was left by an exception.
        Role::Get if result.is_null() => {}
        Role::Get => item(fixed, Kind::Observe, subject, result),
        Role::ObserveIfTrue if is_true => tell(Kind::Observe, word, std::ptr::null_mut()),
        Role::SemaphoreAcquire | Role::AsyncAcquire => {
            let kind = if is_true { Kind::LockAcquired } else { Kind::LockFailed };
            let patience = if role == Role::SemaphoreAcquire { patience(fixed, entry, frame) } else { 0 };
            lock(fixed, kind, subject, frame, patience, 0);
        }
        Role::SemaphoreNew => lock(fixed, Kind::LockNew, subject, frame, SEMAPHORE, initial(fixed, entry, frame)),
        Role::AsyncSemaphoreNew => lock(fixed, Kind::LockNew, subject, frame, ASYNC_SEMAPHORE, initial(fixed, entry, frame)),
        Role::AsyncLockNew => lock(fixed, Kind::LockNew, subject, frame, ASYNC_LOCK, 0),
        Role::UnittestRun => crate::tests::case_over(),
        Role::ProxyCall => proxies::answered(fixed, frame, result),
        Role::Job => tasks::say(thread::current(), ring::slot(Kind::JobEnd, thread::tid())),
        _ => {}
    }
}

/// Does its return tell something of a channel?
fn is_channel(role: Role) -> bool {
    matches!(role, Role::Observe | Role::ObserveIfTrue | Role::Meet | Role::SignalWhenDone)
}

fn is_semaphore(role: Role) -> bool {
    matches!(role, Role::SemaphoreAcquire | Role::SemaphoreRelease)
}

/// A pool of threads counts its idle workers with a semaphore that it never waits for: that orders nothing.
fn called_from_pool(fixed: &Fixed, frame: Obj) -> bool {
    let caller = fixed.layout.previous(frame);
    if caller.is_null() {
        return false;
    }
    let known = state::with(|state, _| state.codes.entry(fixed.layout.code(caller))).flatten();
    known.is_some_and(|entry| entry.module == "concurrent.futures.thread")
}

/// Is the pool, which the thread's own function has a weak reference to as its first argument, one of several threads?
fn has_several_workers(fixed: &Fixed, frame: Obj) -> bool {
    let layout = &fixed.layout;
    let worker = layout.previous(frame);
    if worker.is_null() || !called_from_pool(fixed, frame) {
        return false;
    }
    let reference = layout.local(worker, 0);
    if reference.is_null() || names::type_name(layout, layout.type_of(reference)) != "ReferenceType" {
        return false;
    }
    // SAFETY: calls a weak reference, which gives a new reference to the pool or None; both are given back.
    unsafe {
        let pool = ffi::PyObject_CallObject(reference, std::ptr::null_mut());
        if pool.is_null() {
            ffi::PyErr_Clear();
            return false;
        }
        let most = attribute(pool, c"_max_workers", |most| names::int(layout, most));
        ffi::Py_DecRef(pool);
        most.is_some_and(|most| most > 1)
    }
}

fn argument(fixed: &Fixed, entry: &Entry, frame: Obj, number: usize) -> Obj {
    if number >= entry.nlocalsplus {
        return std::ptr::null_mut();
    }
    let value = fixed.layout.local(frame, number);
    // An argument that an inner function uses lies in a cell.
    if !value.is_null() && fixed.layout.type_of(value) == object!(PyCell_Type) {
        // SAFETY: a cell's content follows its header.
        return unsafe { ffi::field(value, fixed.layout.header) };
    }
    value
}

fn initial(fixed: &Fixed, entry: &Entry, frame: Obj) -> u64 {
    names::int(&fixed.layout, argument(fixed, entry, frame, 1)).map_or(1, |value| value.max(0) as u64)
}

/// `acquire(self, blocking=True, timeout=None)`: 0 for ever, 1 with a timeout, 2 never.
fn patience(fixed: &Fixed, entry: &Entry, frame: Obj) -> u8 {
    let (blocking, timeout) = (argument(fixed, entry, frame, 1), argument(fixed, entry, frame, 2));
    if blocking == object!(_Py_FalseStruct) {
        2
    } else if timeout.is_null() || timeout == object!(_Py_NoneStruct) {
        0
    } else {
        1
    }
}

/// A signal through an object, by the id of its lifetime.
pub fn channel(fixed: &Fixed, kind: Kind, subject: Obj) {
    item(fixed, kind, subject, std::ptr::null_mut());
}

/// The same with what is put into it or got out of it.
pub fn item(fixed: &Fixed, kind: Kind, subject: Obj, item: Obj) {
    tell(kind, channel_of(fixed, subject), item);
}

/// A signal through a pipe or a pair of sockets, by its inode.
pub fn stream(kind: Kind, inode: u64) {
    let known = state::with(|state, _| state.objects.stream(&mut state.names, inode));
    tell(kind, known.unwrap_or(0), std::ptr::null_mut());
}

/// The id of the object's lifetime; 0 if it cannot be followed.
fn channel_of(fixed: &Fixed, subject: Obj) -> u64 {
    let layout = &fixed.layout;
    type_info(layout, layout.type_of(subject));
    state::with(|state, _| state.objects.channel(layout, &mut state.names, subject)).unwrap_or(0)
}

fn tell(kind: Kind, channel: u64, item: Obj) {
    if channel == 0 {
        return;
    }
    let thread = thread::current();
    if kind == Kind::Signal {
        signalled();
    } else if item.is_null() {
        // To be told again what nobody has added to is nothing new.
        let observed = (channel, thread.task(), SIGNALS.load(Ordering::Relaxed));
        if thread.observed.replace(observed) == observed {
            return;
        }
    }
    let mut slot = ring::slot(kind, thread.tid());
    (slot.a, slot.b) = (channel, item as u64);
    tasks::say(thread, slot);
}

/// Counts what may add to a channel: signals and ends of tasks.
static SIGNALS: AtomicU64 = AtomicU64::new(0);

pub fn signalled() {
    SIGNALS.fetch_add(1, Ordering::Relaxed);
}

/// A record about a lock that is written in Python; the place is the caller of the lock's own code.
fn lock(fixed: &Fixed, kind: Kind, subject: Obj, frame: Obj, small: u8, value: u64) {
    let layout = &fixed.layout;
    type_info(layout, layout.type_of(subject));
    let stack = stacks::stack(fixed, layout.previous(frame), None);
    if fixed.is_joined() && kind != Kind::LockNew {
        meet_lock(fixed, subject);
    }
    let Some(id) = state::with(|state, _| state.objects.lock(layout, &mut state.names, subject)) else { return };
    let thread = thread::current();
    let taken = thread.semaphores.get();
    match kind {
        Kind::LockAcquired => thread.semaphores.set(taken + 1),
        Kind::LockReleased => thread.semaphores.set(taken.saturating_sub(1)),
        _ => {}
    }
    let mut slot = ring::slot(kind, thread.tid());
    (slot.a, slot.b, slot.small, slot.stack) = (id, value, small, stack);
    tasks::say(thread, slot);
}

/// In a process that was joined: a lock may have been made before. How many it lets in is what it says now; one that is
/// taken may let in one, which claims least.
fn meet_lock(fixed: &Fixed, subject: Obj) {
    if state::with(|state, _| state.objects.known(subject)).flatten().is_some() {
        return;
    }
    let layout = &fixed.layout;
    let places =
        [c"_initial_value", c"_value"].into_iter().find_map(|name| attribute(subject, name, |value| names::int(layout, value)));
    let is_async = attribute(subject, c"_loop", |_| Some(())).is_some();
    let how = match (is_async, places) {
        (true, None) => ASYNC_LOCK,
        (true, Some(_)) => ASYNC_SEMAPHORE,
        (false, _) => SEMAPHORE,
    };
    type_info(layout, layout.type_of(subject));
    state::with(|state, _| {
        let mut slot = ring::slot(Kind::LockNew, thread::tid());
        slot.a = state.objects.lock(layout, &mut state.names, subject);
        (slot.small, slot.b) = (how, places.map_or(1, |places| places.max(1) as u64));
        if slot.a != 0 {
            ring::push(slot);
        }
    });
}

/// How often any loop was handed a callback by another thread.
static HANDED_OVER: AtomicU64 = AtomicU64::new(0);

/// Is there what this thread has not looked at yet?
pub fn was_handed_over(thread: &'static Thread) -> bool {
    thread.handed_over.get() != HANDED_OVER.load(Ordering::Relaxed)
}

/// A callback runs after whatever came before it was handed over; looked at only when something was since the last one.
fn handed_over(fixed: &Fixed, handle: Obj) {
    let count = HANDED_OVER.load(Ordering::Relaxed);
    if thread::current().handed_over.replace(count) == count {
        return;
    }
    attribute(handle, c"_loop", |running| {
        channel(fixed, Kind::Observe, running);
        Some(())
    });
}
