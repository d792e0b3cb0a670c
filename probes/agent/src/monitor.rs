//! 3.12 and later: instruction events through `sys.monitoring`, with callbacks in native code. Code without watches is
//! never instrumented; and until there is a second strand, none is, but for loops that change what they walk.

use std::ffi::{CStr, c_int};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, Ordering};

use racetrace_probes::wire::{Kind, Origin};

use crate::access::{self, Next, Site};
use crate::codes::{self, Entry};
use crate::ffi::{self, METH_FASTCALL, MethodDef, Obj, VectorFunction, field};
use crate::layout::Layout;
use crate::state::{self, Fixed};
use crate::thread::{self, Thread};
use crate::{coroutines, midway, object, ring, stacks, start, sync, tasks, variables};

const PY_START: c_int = 1 << 0;
const PY_RESUME: c_int = 1 << 1;
const PY_RETURN: c_int = 1 << 2;
const PY_YIELD: c_int = 1 << 3;
const INSTRUCTION: c_int = 1 << 6;

/// Tool ids that no convention gives to anybody, then the others.
const TOOLS: [c_int; 4] = [4, 3, 5, 1];

const CALLBACKS: [(c_int, &CStr, VectorFunction); 5] = [
    (PY_START, c"racetrace_start", on_start),
    (PY_RESUME, c"racetrace_resume", on_start),
    (PY_RETURN, c"racetrace_return", on_return),
    (PY_YIELD, c"racetrace_yield", on_yield),
    (INSTRUCTION, c"racetrace_instruction", on_instruction),
];

static TOOL: AtomicU8 = AtomicU8::new(u8::MAX);
static SET_LOCAL: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());
static RESTART: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());
static DISABLE: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());
static ACTIVE: AtomicBool = AtomicBool::new(false);

/// Registers the callbacks.
pub fn start() -> Result<(), &'static str> {
    // SAFETY: ordinary calls with the GIL; what they return is checked.
    unsafe {
        let sys = ffi::PyImport_ImportModule(c"sys".as_ptr());
        let monitoring = get(sys, c"monitoring").ok_or("sys.monitoring is missing")?;
        let tool = claim(monitoring).ok_or("every tool id of sys.monitoring is taken")?;
        TOOL.store(tool as u8, Ordering::Relaxed);
        DISABLE.store(get(monitoring, c"DISABLE").ok_or("sys.monitoring.DISABLE is missing")?, Ordering::Relaxed);
        SET_LOCAL.store(get(monitoring, c"set_local_events").ok_or("set_local_events is missing")?, Ordering::Relaxed);
        RESTART.store(get(monitoring, c"restart_events").ok_or("restart_events is missing")?, Ordering::Relaxed);
        let register = get(monitoring, c"register_callback").ok_or("register_callback is missing")?;
        for (event, name, function) in CALLBACKS {
            let callback = builtin(name, function);
            let done = ffi::PyObject_CallFunction(register, c"iiO".as_ptr(), tool, event, callback);
            if done.is_null() {
                ffi::PyErr_Clear();
                return Err("register_callback failed");
            }
        }
        let set_events = get(monitoring, c"set_events").ok_or("set_events is missing")?;
        if ffi::PyObject_CallFunction(set_events, c"ii".as_ptr(), tool, PY_START | PY_RESUME).is_null() {
            ffi::PyErr_Clear();
            return Err("set_events failed");
        }
    }
    // What an earlier owner of the number did not want to hear of any more is heard again.
    restart();
    Ok(())
}

/// Takes all instrumentation back. Before 3.14 giving the number back leaves what was asked for with it in place.
pub fn stop() {
    let codes = state::with(|state, _| state.codes.all()).unwrap_or_default();
    codes.iter().filter(|entry| entry.prepared.load(Ordering::Acquire)).for_each(|entry| set_local(entry.code, 0));
    // SAFETY: ordinary calls with the GIL; failures are cleared.
    unsafe {
        let sys = ffi::PyImport_ImportModule(c"sys".as_ptr());
        let tool = c_int::from(TOOL.load(Ordering::Relaxed));
        let Some(monitoring) = get(sys, c"monitoring") else { return };
        let call = |name: &CStr, format: &CStr, event: c_int| {
            let Some(function) = get(monitoring, name) else { return };
            if ffi::PyObject_CallFunction(function, format.as_ptr(), tool, event, object!(_Py_NoneStruct)).is_null() {
                ffi::PyErr_Clear();
            }
        };
        call(c"set_events", c"ii", 0);
        for (event, ..) in CALLBACKS {
            call(c"register_callback", c"iiO", event);
        }
        call(c"free_tool_id", c"i", 0);
    }
}

unsafe fn get(object: Obj, name: &CStr) -> Option<Obj> {
    if object.is_null() {
        return None;
    }
    // SAFETY: an attribute look-up with the GIL; a new reference, kept for good.
    let value = unsafe { ffi::PyObject_GetAttrString(object, name.as_ptr()) };
    if value.is_null() {
        // SAFETY: clears the error of the look-up.
        unsafe { ffi::PyErr_Clear() };
        return None;
    }
    Some(value)
}

unsafe fn claim(monitoring: Obj) -> Option<c_int> {
    // SAFETY: as in `get`.
    let claim = unsafe { get(monitoring, c"use_tool_id") }?;
    TOOLS.into_iter().find(|&tool| {
        // SAFETY: an ordinary call; a failure is cleared.
        unsafe {
            let done = ffi::PyObject_CallFunction(claim, c"is".as_ptr(), tool, c"racetrace".as_ptr());
            if done.is_null() {
                ffi::PyErr_Clear();
            }
            !done.is_null()
        }
    })
}

/// A builtin function object; never freed, nor its definition. Whoever calls it gets to the function without the
/// interpreter's own function in between, which would do nothing for it.
fn builtin(name: &'static CStr, function: VectorFunction) -> Obj {
    /// `tp_vectorcall_offset`.
    const VECTORCALL: usize = 56;
    let def = Box::leak(Box::new(MethodDef {
        name: name.as_ptr(),
        function: function as *mut std::ffi::c_void,
        flags: METH_FASTCALL,
        doc: std::ptr::null(),
    }));
    // SAFETY: the definition lives for ever; the type says where its instances keep the function that is called.
    unsafe {
        let builtin = ffi::PyCMethod_New(def, std::ptr::null_mut(), std::ptr::null_mut(), std::ptr::null_mut());
        if let Some(fixed) = state::fixed().filter(|_| !builtin.is_null()) {
            let place = fixed.layout.slot::<isize>(object!(PyCFunction_Type), VECTORCALL);
            if place > 0 {
                builtin.offset(place).cast::<VectorFunction>().write(function);
            }
        }
        builtin
    }
}

/// The number of arguments, without the flag that a caller may add.
#[inline(always)]
fn number(count: usize) -> usize {
    count & (usize::MAX >> 1)
}

/// There is a second strand: from here on accesses count.
pub fn activate() {
    if ACTIVE.swap(true, Ordering::AcqRel) {
        return;
    }
    let known = state::with(|state, _| state.codes.all()).unwrap_or_default();
    for entry in known {
        instrument(entry);
    }
}

pub fn is_active() -> bool {
    ACTIVE.load(Ordering::Relaxed)
}

fn wants_events(entry: &Entry) -> c_int {
    if entry.origin != Origin::User {
        return 0;
    }
    let accesses = if entry.is_watched() && (is_active() || entry.walks_and_changes) { INSTRUCTION } else { 0 };
    let suspensions = if entry.flags & tasks::COROUTINE_FLAGS != 0 { PY_YIELD } else { 0 };
    accesses | suspensions
}

/// Once; but where two threads enter a function at one time, neither goes on before it is instrumented.
pub fn prepare(entry: &'static Entry) {
    if !entry.prepared.load(Ordering::Acquire) {
        instrument(entry);
        entry.prepared.store(true, Ordering::Release);
    }
}

fn instrument(entry: &'static Entry) {
    let events = match entry.sync {
        Some(sync::Role::AsyncAcquire) => PY_RETURN | PY_YIELD,
        Some(role) if role.acts_on_return() => PY_RETURN,
        Some(_) => 0,
        None => wants_events(entry),
    };
    if events != 0 {
        set_local(entry.code, events);
    }
}

fn set_local(code: Obj, events: c_int) {
    let tool = c_int::from(TOOL.load(Ordering::Relaxed));
    // SAFETY: a call of `sys.monitoring.set_local_events` with the GIL; a failure is cleared.
    unsafe {
        let done = ffi::PyObject_CallFunction(SET_LOCAL.load(Ordering::Relaxed), c"iOi".as_ptr(), tool, code, events);
        if done.is_null() { ffi::PyErr_Clear() } else { ffi::Py_DecRef(done) }
    }
}

/// None is immortal from 3.12 on: its references need not be counted.
#[inline(always)]
fn none() -> Obj {
    object!(_Py_NoneStruct)
}

fn disable() -> Obj {
    let disable = DISABLE.load(Ordering::Relaxed);
    // SAFETY: a new reference to an object that we keep.
    unsafe { ffi::Py_IncRef(disable) };
    disable
}

/// Nothing is recorded: not yet, or not any more.
#[cold]
fn unheard(fixed: &Fixed) -> Obj {
    if ring::is_hushed() {
        return none();
    }
    start::leave(fixed);
    disable()
}

#[inline(always)]
fn frame_of(fixed: &Fixed, code: Obj) -> Option<Obj> {
    let layout = &fixed.layout;
    // SAFETY: called with a thread state attached, from a callback of the interpreter.
    let innermost = layout.current_frame(unsafe { ffi::PyThreadState_Get() });
    if !innermost.is_null() && layout.code(innermost) == code { Some(innermost) } else { frame_behind(layout, innermost, code) }
}

/// Frames of the interpreter's own making have other code.
#[cold]
fn frame_behind(layout: &Layout, innermost: Obj, code: Obj) -> Option<Obj> {
    Some(layout.python_frame(innermost)).filter(|frame| !frame.is_null() && layout.code(*frame) == code)
}

/// A function is entered (or a generator resumed) for the first time since it was last looked at.
unsafe extern "C-unwind" fn on_start(_self: Obj, args: *const Obj, count: usize, _names: Obj) -> Obj {
    let Some(fixed) = state::fixed() else { return none() };
    if number(count) < 2 || !ring::recording() {
        return unheard(fixed);
    }
    // SAFETY: the interpreter passes the code object and an offset.
    let code = unsafe { *args };
    let Some(frame) = frame_of(fixed, code) else { return none() };
    let thread = thread::current();
    let again = thread.outermost(|| {
        let known = entry_of(thread, code).or_else(|| codes::learn(fixed, code, fixed.layout.globals(frame)));
        let Some(entry) = known else { return false };
        let still_elsewhere = midway::entered(&fixed.layout, frame, code);
        prepare(entry);
        if entry.is_body {
            variables::body_entered(fixed, code);
            return true;
        }
        match entry.sync {
            Some(role) => {
                sync::entered(fixed, entry, role, frame);
                role.acts_on_entry() || still_elsewhere
            }
            None => still_elsewhere,
        }
    });
    if again == Some(false) { disable() } else { none() }
}

unsafe extern "C-unwind" fn on_return(_self: Obj, args: *const Obj, count: usize, _names: Obj) -> Obj {
    let Some(fixed) = state::fixed() else { return none() };
    if number(count) < 3 {
        return none();
    }
    // SAFETY: code object, offset, returned value.
    let (code, result) = unsafe { (*args, *args.add(2)) };
    let thread = thread::current();
    thread.outermost(|| {
        let entry = entry_of(thread, code)?;
        let frame = frame_of(fixed, code)?;
        sync::returned(fixed, entry, entry.sync?, frame, result);
        Some(())
    });
    none()
}

#[inline(always)]
fn entry_of(thread: &'static Thread, code: Obj) -> Option<&'static Entry> {
    thread.entry(code, || state::with(|state, _| state.codes.entry(code)).flatten())
}

/// A coroutine gives way.
unsafe extern "C-unwind" fn on_yield(_self: Obj, args: *const Obj, count: usize, _names: Obj) -> Obj {
    let Some(fixed) = state::fixed() else { return none() };
    let thread = thread::current();
    if number(count) < 3 || thread.loops() == 0 {
        return none();
    }
    // SAFETY: code object, offset, yielded value.
    let (code, value) = unsafe { (*args, *args.add(2)) };
    if tasks::is_for_consumer(&fixed.layout, value) {
        return none(); // not a suspension
    }
    thread.outermost(|| {
        let frame = frame_of(fixed, code)?;
        match entry_of(thread, code).filter(|entry| entry.sync.is_some()) {
            Some(entry) => sync::suspends(fixed, entry, frame),
            None => suspended(fixed, thread, frame),
        }
        Some(())
    });
    none()
}

pub fn suspended(fixed: &Fixed, thread: &'static Thread, frame: Obj) {
    coroutines::turn();
    tasks::strand(fixed, thread, frame);
    thread.gave_way.set(true);
    let mut slot = ring::slot(Kind::Suspend, thread.tid());
    slot.stack = stacks::stack(fixed, frame, None);
    tasks::say(thread, slot);
}

unsafe extern "C-unwind" fn on_instruction(_self: Obj, args: *const Obj, count: usize, _names: Obj) -> Obj {
    let Some(fixed) = state::fixed() else { return none() };
    if number(count) < 2 || !ring::recording() {
        return unheard(fixed);
    }
    // SAFETY: code object and offset, a non-negative int of one digit.
    let (code, offset) = unsafe { (*args, field::<u32>(*args.add(1), fixed.layout.header + 8)) };
    let thread = thread::current();
    let Some(entry) = entry_of(thread, code) else { return disable() };
    if !entry.is_watched_at(offset) {
        return disable();
    }
    let Some(frame) = frame_of(fixed, code) else { return none() };
    let site = Site { fixed, thread, entry, frame, offset, watch: 0 };
    match thread.outermost(|| access::at_instruction(site)) {
        Some(Next::Rest) => disable(),
        Some(Next::WatchAll) => {
            restart();
            none()
        }
        _ => none(),
    }
}

/// Instructions that were not to be watched any more are watched again, from the next time on that their code is entered.
#[cold]
pub fn restart() {
    // SAFETY: a call of `sys.monitoring.restart_events` with the GIL; a failure is cleared.
    unsafe {
        let done = ffi::PyObject_CallObject(RESTART.load(Ordering::Relaxed), std::ptr::null_mut());
        if done.is_null() { ffi::PyErr_Clear() } else { ffi::Py_DecRef(done) }
    }
}
