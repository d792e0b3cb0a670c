//! Threads: started (with a token that travels to the child), begun, ended, joined.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use racetrace_probes::wire::Kind;

use crate::ffi::{self, METH_KEYWORDS, METH_VARARGS, MethodDef, Obj};
use crate::hooks::{Call, exchange_all, locks, of};
use crate::layout::Layout;
use crate::objects::type_info;
use crate::state::{self, Fixed};
use crate::{codes, midway, names, object, ring, stacks, tasks, thread, watch};

static TOKENS: AtomicU64 = AtomicU64::new(1);

thread_local! {
    static TOKEN: Cell<u64> = const { Cell::new(0) };
}

static BEGIN: MethodDef = MethodDef {
    name: c"racetrace_thread".as_ptr(),
    function: begin as *mut std::ffi::c_void,
    flags: METH_VARARGS | METH_KEYWORDS,
    doc: std::ptr::null(),
};
// SAFETY: never written.
unsafe impl Sync for MethodDef {}

pub fn start(layout: &Layout) {
    // SAFETY: imports a builtin module.
    let module = unsafe { ffi::PyImport_ImportModule(c"_thread".as_ptr()) };
    exchange_all(layout, module, &[c"start_new_thread", c"start_new", c"start_joinable_thread"], start_thread);
    exchange_all(layout, module, &[c"_set_sentinel"], set_sentinel);
    let handle = of(module, c"_ThreadHandle");
    exchange_all(layout, handle, &[c"join"], join);
    exchange_all(layout, handle, &[c"is_done"], is_done);
    exchange_all(layout, module, &[c"_shutdown"], shut_down);
}

pub fn new_token() -> u64 {
    TOKENS.fetch_add(1, Ordering::Relaxed)
}

/// The token of the running thread; 0: nobody who waits for its end can name it.
pub fn own_token() -> u64 {
    TOKEN.with(Cell::get)
}

/// The function that the new thread is to run is wrapped, so that the thread says when it begins and ends.
fn start_thread(call: &Call) -> Obj {
    let Some(fixed) = state::fixed() else { return call.go_on() };
    let function = call.argument(0, c"function");
    if function.is_null() {
        return call.go_on();
    }
    let token = new_token();
    let Some(wrapped) = thread::outermost(|| wrap(function, token)).flatten() else { return call.go_on() };
    watch::activate(fixed);
    thread::outermost(|| {
        let frame = tasks::current_frame(&fixed.layout);
        tasks::strand(fixed, thread::current(), frame);
        let mut slot = ring::slot(Kind::ThreadStart, thread::tid());
        (slot.a, slot.stack) = (token, stacks::stack(fixed, frame, None));
        tasks::say(thread::current(), slot);
    });
    let handle = call.argument(1, c"handle");
    if !handle.is_null() && handle != object!(_Py_NoneStruct) && fixed.layout.minor >= 13 {
        remember(handle, token);
    }
    let result = call.go_on_with_first(wrapped);
    // SAFETY: our reference; the thread has its own.
    unsafe { ffi::Py_DecRef(wrapped) };
    result
}

/// A builtin whose `self` is the tuple of the function and the token.
fn wrap(function: Obj, token: u64) -> Option<Obj> {
    // SAFETY: makes a tuple and a builtin; references are counted.
    unsafe {
        let pair = ffi::PyTuple_New(2);
        if pair.is_null() {
            ffi::PyErr_Clear();
            return None;
        }
        ffi::Py_IncRef(function);
        ffi::PyTuple_SetItem(pair, 0, function);
        ffi::PyTuple_SetItem(pair, 1, ffi::PyLong_FromLong(token as i64));
        let wrapped = ffi::PyCMethod_New(&raw const BEGIN, pair, std::ptr::null_mut(), std::ptr::null_mut());
        ffi::Py_DecRef(pair);
        if wrapped.is_null() {
            ffi::PyErr_Clear();
            return None;
        }
        Some(wrapped)
    }
}

/// Runs in the new thread.
unsafe extern "C-unwind" fn begin(pair: Obj, args: Obj, kwargs: Obj) -> Obj {
    // SAFETY: `pair` was made by `wrap`.
    let (function, token) =
        unsafe { (ffi::PyTuple_GetItem(pair, 0), ffi::PyLong_AsLongLong(ffi::PyTuple_GetItem(pair, 1)) as u64) };
    TOKEN.with(|current| current.set(token));
    if let Some(fixed) = state::fixed() {
        thread::outermost(|| {
            midway::begins();
            introduce(token, &name_of(function));
        });
        watch::thread_begins(fixed);
    }
    // SAFETY: calls what the program asked to be called.
    let result = unsafe { ffi::PyObject_Call(function, args, kwargs) };
    if result.is_null() {
        tell_failure(function);
    }
    thread::outermost(|| tasks::say(thread::current(), ring::slot(Kind::ThreadEnd, thread::tid())));
    TOKEN.with(|current| current.set(0));
    // SAFETY: asks whether an exception is set; None is a new reference.
    unsafe {
        if result.is_null() && ffi::PyErr_Occurred().is_null() {
            ffi::Py_IncRef(object!(_Py_NoneStruct));
            return object!(_Py_NoneStruct);
        }
    }
    result
}

/// The interpreter tells a failure by the function that it was asked to run: that has to be the program's, not our wrapper.
/// What is told here is no longer set when the wrapper returns. `SystemExit` is left to the interpreter, which ignores it.
fn tell_failure(function: Obj) {
    unsafe extern "C-unwind" {
        static mut PyExc_SystemExit: Obj;
        fn PyErr_ExceptionMatches(kind: Obj) -> std::ffi::c_int;
    }
    // SAFETY: an exception is set; the two ways of telling take a text (and a format) and the function.
    unsafe {
        if PyErr_ExceptionMatches(PyExc_SystemExit) != 0 {
            return;
        }
        if let Some(tell) = ffi::symbol(c"PyErr_FormatUnraisable") {
            type Tell = unsafe extern "C-unwind" fn(*const std::ffi::c_char, ...);
            let tell = std::mem::transmute::<*mut std::ffi::c_void, Tell>(tell);
            tell(c"Exception ignored in thread started by %R".as_ptr(), function);
        } else if let Some(tell) = ffi::symbol(c"_PyErr_WriteUnraisableMsg") {
            type Tell = unsafe extern "C-unwind" fn(*const std::ffi::c_char, Obj);
            std::mem::transmute::<*mut std::ffi::c_void, Tell>(tell)(c"in thread started by".as_ptr(), function);
        }
    }
}

/// Says that this thread begins.
pub fn introduce(token: u64, name: &str) {
    thread::introduce(ring::generation());
    let word = state::with(|state, _| state.names.text_once(name)).unwrap_or(0);
    let mut slot = ring::slot(Kind::ThreadBegin, thread::tid());
    (slot.a, slot.word) = (token, word);
    tasks::say(thread::current(), slot);
}

/// The `threading.Thread`'s name, when that is what runs.
fn name_of(function: Obj) -> String {
    let owner = of(function, c"__self__");
    let name = of(owner, c"_name");
    let text = names::utf8(name).unwrap_or_default().to_owned();
    for object in [owner, name] {
        if !object.is_null() {
            // SAFETY: gives back the reference that `of` took.
            unsafe { ffi::Py_DecRef(object) };
        }
    }
    text
}

/// The object's end is told too, so that its address can be used again.
fn follow(object: Obj) {
    let Some(fixed) = state::fixed() else { return };
    type_info(&fixed.layout, fixed.layout.type_of(object));
    state::with(|state, _| state.objects.identity(object));
}

pub fn remember(object: Obj, token: u64) {
    follow(object);
    state::with(|state, _| state.threads.set(object as u64, token));
}

fn known(object: Obj) -> Option<u64> {
    state::with(|state, _| state.threads.get(object as u64)).flatten()
}

/// Up to 3.12: the lock whose release says that this thread has ended.
fn set_sentinel(call: &Call) -> Obj {
    let lock = call.go_on();
    if own_token() == 0 && state::fixed().is_some_and(|fixed| fixed.is_joined()) {
        // It was started before the agent came, and begins only now.
        TOKEN.with(|current| current.set(new_token()));
    }
    let token = own_token();
    if !lock.is_null() {
        // The main thread has no token: nobody waits for its end.
        follow(lock);
        if token != 0 {
            remember(lock, token);
        }
        locks::mark_sentinel(lock);
    }
    lock
}

/// Whoever gets a thread's sentinel knows that the thread has ended. (A thread takes its own sentinel when it begins: that
/// is no join, but no lock of the program's either.)
pub fn joined_by_lock(fixed: &Fixed, sentinel: Obj) {
    if let Some(token) = known(sentinel) {
        joined(fixed, token);
    }
}

/// This thread is about to wait without limit: for a thread, for all of them, or for something in a queue.
pub fn blocks(fixed: &Fixed, what: u8, id: u64) {
    thread::outermost(|| {
        let frame = tasks::current_frame(&fixed.layout);
        tasks::strand(fixed, thread::current(), frame);
        let mut slot = ring::slot(Kind::Block, thread::tid());
        (slot.a, slot.small, slot.stack) = (id, what, stacks::stack(fixed, frame, None));
        tasks::say(thread::current(), slot);
    });
}

/// About to wait for the thread of this sentinel.
pub fn blocks_for_thread(fixed: &Fixed, sentinel: Obj) {
    if let Some(token) = known(sentinel) {
        blocks(fixed, A_THREAD, token);
    }
}

/// What a [`blocks`] is for.
pub const A_THREAD: u8 = 0;
pub const ALL_THREADS: u8 = 1;
pub const A_CHANNEL: u8 = 2;

/// 3.13+: the main thread waits for all others before the interpreter goes down.
fn shut_down(call: &Call) -> Obj {
    if let Some(fixed) = state::fixed() {
        blocks(fixed, ALL_THREADS, 0);
    }
    call.go_on()
}

fn joined(fixed: &Fixed, token: u64) {
    if token == own_token() {
        return;
    }
    thread::outermost(|| {
        let frame = tasks::current_frame(&fixed.layout);
        if only_tidies(fixed, frame) {
            return;
        }
        tasks::strand(fixed, thread::current(), frame);
        let mut slot = ring::slot(Kind::ThreadJoin, thread::tid());
        slot.a = token;
        tasks::say(thread::current(), slot);
    });
}

/// A server that forgets those of its threads that have ended learns nothing from them: another time they still run when
/// the next request comes.
fn only_tidies(fixed: &Fixed, frame: Obj) -> bool {
    const NEAR: usize = 6;
    for at in fixed.layout.frames(frame).take(NEAR) {
        let Some(entry) = codes::of_frame(fixed, at) else { return false };
        match entry.module.as_str() {
            "socketserver" => return entry.qualname.starts_with("_Threads.reap"),
            "threading" => {}
            _ => return false,
        }
    }
    false
}

/// 3.13+: `_ThreadHandle.join(timeout=None)`.
fn join(call: &Call) -> Obj {
    let timeout = call.argument(0, c"timeout");
    if let (true, Some(fixed)) = (timeout.is_null() || timeout == object!(_Py_NoneStruct), state::fixed())
        && let Some(token) = known(call.receiver)
    {
        blocks(fixed, A_THREAD, token);
    }
    let result = call.go_on();
    let Some(fixed) = state::fixed() else { return result };
    if !result.is_null()
        && let Some(token) = known(call.receiver)
    {
        let done = of(call.receiver, c"is_done");
        // SAFETY: calls a method without arguments, which notes the join by itself when the thread has ended.
        unsafe {
            if !done.is_null() {
                let answer = ffi::PyObject_CallObject(done, std::ptr::null_mut());
                if answer == object!(_Py_TrueStruct) && ring::recording() {
                    joined(fixed, token);
                }
                for object in [done, answer] {
                    if !object.is_null() {
                        ffi::Py_DecRef(object);
                    }
                }
            }
        }
    }
    result
}

fn is_done(call: &Call) -> Obj {
    let result = call.go_on();
    if result == object!(_Py_TrueStruct)
        && let (Some(fixed), Some(token)) = (state::fixed(), known(call.receiver))
    {
        joined(fixed, token);
    }
    result
}
