//! `_asyncio`: event loops that run, tasks that are made, futures that are fulfilled and awaited.

use std::sync::atomic::{AtomicUsize, Ordering};

use racetrace_probes::wire::Kind;

use crate::ffi::{self, Obj, field};
use crate::hooks::word::{Word, call_method};
use crate::hooks::{Call, exchange_all, exchange_slot, exchange_word, of, waiting};
use crate::layout::{Layout, type_slot};
use crate::names::Names;
use crate::objects::type_info;
use crate::state::{self, Fixed};
use crate::{coroutines, names, object, ring, stacks, sync, tasks, thread, watch};

static FUTURE_TYPE: AtomicUsize = AtomicUsize::new(0);
static TASK_INIT: AtomicUsize = AtomicUsize::new(0);
static ITER_NEXT: AtomicUsize = AtomicUsize::new(0);
static ITER_SEND: AtomicUsize = AtomicUsize::new(0);

/// Offset of `am_await` in `PyAsyncMethods`, and of `am_send`.
const AM_AWAIT: usize = 0;
const AM_SEND: usize = 24;

pub fn start(layout: &Layout, module: Obj) {
    exchange_all(layout, module, &[c"_set_running_loop"], set_running_loop);
    let future = of(module, c"Future");
    let task = of(module, c"Task");
    FUTURE_TYPE.store(future as usize, Ordering::Relaxed);
    exchange_all(layout, future, &[c"set_result", c"set_exception", c"cancel"], fulfil);
    for class in [future, task] {
        exchange_all(layout, class, &[c"result", c"exception"], look_at);
        exchange_all(layout, class, &[c"done"], is_done);
    }
    exchange_slot(layout, task, type_slot::INIT, task_init as *const () as usize, &TASK_INIT);
}

fn set_running_loop(call: &Call) -> Obj {
    let result = call.go_on();
    let running = call.argument(0, c"loop");
    if !result.is_null() {
        let runs = !running.is_null() && running != object!(_Py_NoneStruct);
        if !runs {
            leave_task();
        }
        thread::set_loops(u32::from(runs));
        if let (true, Some(fixed)) = (runs, state::fixed()) {
            watch::activate(fixed);
            waiting::begins(running);
        }
    }
    result
}

/// The loop has stopped: this thread is itself again.
fn leave_task() {
    if thread::current().set_task(0) != 0 {
        tasks::say(thread::current(), ring::slot(Kind::TaskSwitch, thread::tid()));
    }
}

fn fulfil(call: &Call) -> Obj {
    if let Some(fixed) = state::fixed() {
        thread::outermost(|| {
            tasks::strand(fixed, thread::current(), tasks::current_frame(&fixed.layout));
            sync::channel(fixed, Kind::Signal, call.receiver);
        });
    }
    call.go_on()
}

/// The result is asked for: it is there, or asking fails.
fn look_at(call: &Call) -> Obj {
    let result = call.go_on();
    if !result.is_null()
        && let Some(fixed) = state::fixed()
    {
        thread::outermost(|| observed(fixed, call.receiver));
    }
    result
}

fn is_done(call: &Call) -> Obj {
    let result = call.go_on();
    if result == object!(_Py_TrueStruct)
        && let Some(fixed) = state::fixed()
    {
        thread::outermost(|| observed(fixed, call.receiver));
    }
    result
}

/// A callback is told of a future: what has made it done is before the callback.
pub fn told_of(fixed: &Fixed, future: Obj) {
    if future.is_null() || !is_future(&fixed.layout, future) {
        return;
    }
    static DONE: Word = Word::new(c"done");
    // SAFETY: the reference is given back.
    unsafe {
        let done = call_method(future, &DONE);
        if done.is_null() {
            return;
        }
        if done == object!(_Py_TrueStruct) {
            observed(fixed, future);
        }
        ffi::Py_DecRef(done);
    }
}

fn is_future(layout: &Layout, object: Obj) -> bool {
    let future = FUTURE_TYPE.load(Ordering::Relaxed) as Obj;
    // SAFETY: two type objects.
    !future.is_null() && unsafe { ffi::PyType_IsSubtype(layout.type_of(object), future) != 0 }
}

/// Somebody has seen that a future is done; if it is a task, it has ended.
fn observed(fixed: &Fixed, future: Obj) {
    tasks::strand(fixed, thread::current(), tasks::current_frame(&fixed.layout));
    let ended = state::with(|state, _| state.tasks.remove(future as u64)).flatten();
    if let Some(task) = ended {
        sync::signalled();
        let mut slot = ring::slot(Kind::TaskEnd, thread::tid());
        slot.a = task;
        tasks::say(thread::current(), slot);
    }
    sync::channel(fixed, Kind::Observe, future);
}

/// `Task.__init__(coro, *, loop, name, …)`.
unsafe extern "C-unwind" fn task_init(task: Obj, args: Obj, kwargs: Obj) -> i32 {
    type Init = unsafe extern "C-unwind" fn(Obj, Obj, Obj) -> i32;
    // An eager task runs while it is being made: it has to be known before.
    let eager = ring::recording() && is_eager(kwargs);
    let outer = if eager { note_made(task, args, kwargs, false).map(thread::set_eager) } else { None };
    // SAFETY: `tp_init` as it was in this slot.
    let result = unsafe { std::mem::transmute::<usize, Init>(TASK_INIT.load(Ordering::Relaxed))(task, args, kwargs) };
    if let Some(outer) = outer {
        thread::set_eager(outer);
    }
    if result == 0 && ring::recording() && !eager {
        note_made(task, args, kwargs, true);
    }
    result
}

fn note_made(task: Obj, args: Obj, kwargs: Obj, complete: bool) -> Option<u64> {
    let fixed = state::fixed()?;
    thread::outermost(|| made(fixed, task, args, kwargs, complete)).flatten()
}

fn is_eager(kwargs: Obj) -> bool {
    // SAFETY: a dict or null; the result is borrowed.
    !kwargs.is_null() && unsafe { ffi::PyDict_GetItemString(kwargs, c"eager_start".as_ptr()) } == object!(_Py_TrueStruct)
}

/// `complete`: the task object is filled in, and can be asked. Gives the task's id.
fn made(fixed: &Fixed, task: Obj, args: Obj, kwargs: Obj, complete: bool) -> Option<u64> {
    let layout = &fixed.layout;
    // SAFETY: a tuple and a dict or null; results are borrowed.
    let coroutine = unsafe {
        if ffi::PyTuple_Size(args) > 0 {
            ffi::PyTuple_GetItem(args, 0)
        } else if kwargs.is_null() {
            return None;
        } else {
            ffi::PyDict_GetItemString(kwargs, c"coro".as_ptr())
        }
    };
    if coroutine.is_null() {
        return None;
    }
    let name = if complete {
        hook_awaiting(layout, task);
        task_name(task)
    } else {
        coroutine_name(coroutine)
    };
    coroutines::turn();
    type_info(layout, layout.type_of(task));
    let frame = tasks::current_frame(layout);
    tasks::strand(fixed, thread::current(), frame);
    let id = tasks::task_of(layout, coroutine);
    let stack = stacks::stack(fixed, frame, None);
    let ids = state::with(|state, _| {
        state.tasks.set(task as u64, id);
        (state.objects.channel(layout, &mut state.names, task), name_of(&mut state.names, &name))
    });
    let (future, name) = ids?;
    let mut slot = ring::slot(Kind::TaskNew, thread::tid());
    (slot.a, slot.b, slot.word, slot.stack) = (id, future, name, stack);
    tasks::say(thread::current(), slot);
    Some(id)
}

/// Names that asyncio counts up come once.
fn name_of(names: &mut Names, name: &str) -> u32 {
    if name.starts_with("Task-") { names.text_once(name) } else { names.text(name) }
}

/// A task that has no name yet is called after its coroutine.
fn coroutine_name(coroutine: Obj) -> String {
    let name = of(coroutine, c"__qualname__");
    let text = names::utf8(name).unwrap_or_default().to_owned();
    if !name.is_null() {
        // SAFETY: the reference that `of` took.
        unsafe { ffi::Py_DecRef(name) };
    }
    text
}

fn task_name(task: Obj) -> String {
    static GET_NAME: Word = Word::new(c"get_name");
    // SAFETY: the reference is given back.
    unsafe {
        let name = call_method(task, &GET_NAME);
        if name.is_null() {
            return String::new();
        }
        let text = names::utf8(name).unwrap_or_default().to_owned();
        ffi::Py_DecRef(name);
        text
    }
}

/// The type of the iterators that `await` walks futures with is only to be had through one of them.
fn hook_awaiting(layout: &Layout, task: Obj) {
    static DONE: AtomicUsize = AtomicUsize::new(0);
    if DONE.swap(1, Ordering::Relaxed) != 0 {
        return;
    }
    // SAFETY: slots of types; `am_await` of a task makes an iterator and nothing else.
    unsafe {
        let methods: Obj = layout.slot(layout.type_of(task), type_slot::AS_ASYNC);
        if methods.is_null() {
            return;
        }
        let make: usize = field(methods, AM_AWAIT);
        if make == 0 {
            return;
        }
        let iterator = std::mem::transmute::<usize, unsafe extern "C-unwind" fn(Obj) -> Obj>(make)(task);
        if iterator.is_null() {
            ffi::PyErr_Clear();
            return;
        }
        let class = layout.type_of(iterator);
        exchange_slot(layout, class, type_slot::ITERNEXT, future_next as *const () as usize, &ITER_NEXT);
        let methods: Obj = layout.slot(class, type_slot::AS_ASYNC);
        if !methods.is_null() {
            exchange_word(methods.add(AM_SEND).cast(), future_send as *const () as usize, &ITER_SEND);
        }
        ffi::Py_DecRef(iterator);
    }
}

/// The future behind such an iterator, kept alive.
fn future_of(iterator: Obj) -> Obj {
    let Some(fixed) = state::fixed() else { return std::ptr::null_mut() };
    if !ring::recording() {
        return std::ptr::null_mut();
    }
    // SAFETY: the iterator's future follows its header, and may be null when it is exhausted.
    unsafe {
        let future: Obj = field(iterator, fixed.layout.header);
        if !future.is_null() {
            ffi::Py_IncRef(future);
        }
        future
    }
}

fn awaited(future: Obj, done: bool) {
    if future.is_null() {
        return;
    }
    if done && let Some(fixed) = state::fixed() {
        thread::outermost(|| {
            if !waits_alone(fixed) {
                observed(fixed, future);
            }
        });
    }
    // SAFETY: the reference that `future_of` took.
    unsafe { ffi::Py_DecRef(future) };
}

/// Is the coroutine that awaits one whose future orders nothing?
fn waits_alone(fixed: &Fixed) -> bool {
    let frame = tasks::current_frame(&fixed.layout);
    if frame.is_null() {
        return false;
    }
    let entry = state::with(|state, _| state.codes.entry(fixed.layout.code(frame))).flatten();
    entry.is_some_and(|entry| entry.waits_alone)
}

unsafe extern "C-unwind" fn future_next(iterator: Obj) -> Obj {
    let future = future_of(iterator);
    // SAFETY: `tp_iternext` as it was in this slot.
    let result = unsafe {
        std::mem::transmute::<usize, unsafe extern "C-unwind" fn(Obj) -> Obj>(ITER_NEXT.load(Ordering::Relaxed))(iterator)
    };
    awaited(future, result.is_null());
    result
}

unsafe extern "C-unwind" fn future_send(iterator: Obj, value: Obj, result: *mut Obj) -> i32 {
    const NEXT: i32 = 1;
    type Send = unsafe extern "C-unwind" fn(Obj, Obj, *mut Obj) -> i32;
    let future = future_of(iterator);
    // SAFETY: `am_send` as it was in this slot.
    let outcome = unsafe { std::mem::transmute::<usize, Send>(ITER_SEND.load(Ordering::Relaxed))(iterator, value, result) };
    awaited(future, outcome != NEXT);
    outcome
}
