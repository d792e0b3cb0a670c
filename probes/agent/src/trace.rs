//! 3.11: instruction events through a C trace function, from the second strand on. It shares its place with the program's
//! own trace function (a debugger, coverage, `threading.settrace`): that one is called as it would have been without us.

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering};

use racetrace_probes::wire::{Kind, Origin};

use crate::access::{self, Site};
use crate::codes::{self, Entry};
use crate::ffi::{self, Obj, field};
use crate::hooks::{Call, exchange_all, loaded};
use crate::layout::Layout;
use crate::objects::type_info;
use crate::state::{self, Fixed};
use crate::thread::{self, Thread};
use crate::{evaluate, monitor, names, ring, sync, tasks};

type TraceFunction = unsafe extern "C-unwind" fn(Obj, Obj, c_int, Obj) -> c_int;

const CALL: c_int = 0;
const RETURN: c_int = 3;
const OPCODE: c_int = 7;

// Offsets of 3.11: in the thread state, and in a frame object.
pub const FUNCTION: usize = 72;
const TSTATE_OBJECT: usize = 88;
const FRAME: usize = 24;
const TRACE_LINES: usize = 44;
const TRACE_OPCODES: usize = 45;
/// Our bit in `f_trace_opcodes`, whose every non-zero value means yes; the program's own is 1.
const OURS: u8 = 2;

const RESUME: u8 = 151;
const YIELD_VALUE: u8 = 86;

static ACTIVE: AtomicBool = AtomicBool::new(false);

pub fn start(fixed: &Fixed) -> Result<(), &'static str> {
    exchange_all(&fixed.layout, loaded(c"sys"), &[c"settrace"], settrace);
    crate::early::start();
    Ok(())
}

pub fn is_active() -> bool {
    ACTIVE.load(Ordering::Relaxed)
}

/// coverage's tracer takes its place without asking `sys`.
pub fn start_beside_coverage(layout: &Layout, module: Obj) {
    if layout.minor < 12 {
        exchange_all(layout, crate::hooks::of(module, c"CTracer"), &[c"start", c"stop"], settrace);
    }
}

pub fn activate(fixed: &Fixed) {
    if ACTIVE.swap(true, Ordering::AcqRel) {
        return;
    }
    announce_locks(fixed);
    crate::tests::from_environment();
    take_place();
    look_at_callers();
    evaluate::start();
}

pub fn thread_begins(_fixed: &Fixed) {
    if ACTIVE.load(Ordering::Relaxed) {
        take_place();
    }
}

fn current() -> Obj {
    // SAFETY: called with a thread state attached.
    unsafe { ffi::PyThreadState_Get() }
}

/// Puts our function before whatever trace function this thread has.
fn take_place() {
    let tstate = current();
    // SAFETY: fields of this version's thread state; the object stays referenced while it is handed over.
    unsafe {
        let function: usize = field(tstate, FUNCTION);
        if function == traced as *const () as usize {
            return;
        }
        let argument: Obj = field(tstate, TSTATE_OBJECT);
        thread::current().other_tracer.set(function);
        if !argument.is_null() {
            ffi::Py_IncRef(argument);
        }
        ffi::PyEval_SetTrace(traced as *const c_void, argument);
        if !argument.is_null() {
            ffi::Py_DecRef(argument);
        }
    }
}

/// Is it our function, and no other behind it?
#[inline(always)]
pub fn is_alone(function: usize) -> bool {
    function == traced as *const () as usize && thread::current().other_tracer.get() == 0
}

/// The program sets its own trace function: it gets its way, and we get back before it.
fn settrace(call: &Call) -> Obj {
    let result = call.go_on();
    if !result.is_null() && ACTIVE.load(Ordering::Relaxed) {
        take_place();
    }
    result
}

/// Frames that were entered before watching began have had no call event: that of a test case is made up for.
fn look_at_callers() {
    unsafe extern "C-unwind" {
        fn PyEval_GetFrame() -> Obj;
        fn PyFrame_GetBack(frame: Obj) -> Obj;
    }
    let Some(fixed) = state::fixed() else { return };
    // SAFETY: frame objects of the running thread; the one from PyEval_GetFrame is borrowed, the others are ours.
    unsafe {
        let mut frame = PyEval_GetFrame();
        if !frame.is_null() {
            ffi::Py_IncRef(frame);
        }
        while !frame.is_null() {
            if let Some(entry) = prepare(fixed, frame)
                && entry.sync == Some(sync::Role::UnittestRun)
            {
                sync::entered(fixed, entry, sync::Role::UnittestRun, field(frame, FRAME));
            }
            let back = PyFrame_GetBack(frame);
            ffi::Py_DecRef(frame);
            frame = back;
        }
    }
}

/// Asks for the events of this frame that are needed.
fn prepare(fixed: &Fixed, frame_object: Obj) -> Option<&'static Entry> {
    // SAFETY: a frame object and its frame.
    let frame: Obj = unsafe { field(frame_object, FRAME) };
    let entry = codes::of_frame(fixed, frame)?;
    let wanted = entry.origin == Origin::User && entry.is_watched();
    let alone = thread::current().other_tracer.get() == 0;
    // SAFETY: two flags of the frame object, one byte each.
    unsafe {
        if wanted {
            *frame_object.add(TRACE_OPCODES) |= OURS;
        }
        if alone {
            *frame_object.add(TRACE_LINES) = 0;
        }
    }
    Some(entry)
}

unsafe extern "C-unwind" fn traced(argument: Obj, frame_object: Obj, what: c_int, value: Obj) -> c_int {
    let thread = thread::current();
    if ring::recording()
        && let Some(fixed) = state::fixed()
        && (what != OPCODE || is_watched(fixed, thread, frame_object))
    {
        thread.outermost(|| note(fixed, thread, frame_object, what, value));
    }
    let other = thread.other_tracer.get();
    if other == 0 {
        return 0;
    }
    // SAFETY: a flag of the frame object.
    if what == OPCODE && unsafe { field::<u8>(frame_object, TRACE_OPCODES) } & 1 == 0 {
        return 0; // the program has not asked for these
    }
    if what == CALL {
        // SAFETY: as above: the program's function expects lines.
        unsafe { *frame_object.add(TRACE_LINES) = 1 };
    }
    // SAFETY: the function that was in place, with what it would have been called with.
    let result = unsafe { std::mem::transmute::<usize, TraceFunction>(other)(argument, frame_object, what, value) };
    if result != 0 {
        // It failed, and the interpreter's own code has taken all tracing away from this thread.
        thread::current().other_tracer.set(0);
    }
    take_place_again();
    result
}

/// After the program's function ran: it may have put itself, or another, or nothing in our place.
fn take_place_again() {
    // SAFETY: a field of this version's thread state.
    let function: usize = unsafe { field(current(), FUNCTION) };
    if function != traced as *const () as usize {
        take_place();
    }
}

#[inline(always)]
fn entry_of(thread: &'static Thread, code: Obj) -> Option<&'static Entry> {
    if let Some(entry) = evaluate::entry(code) {
        return Some(entry);
    }
    thread.entry(code, || state::with(|state, _| state.codes.entry(code)).flatten())
}

/// Most instructions are not.
#[inline]
fn is_watched(fixed: &Fixed, thread: &'static Thread, frame_object: Obj) -> bool {
    let layout = &fixed.layout;
    // SAFETY: a frame object and its frame.
    let frame: Obj = unsafe { field(frame_object, FRAME) };
    let code = layout.code(frame);
    entry_of(thread, code).is_some_and(|entry| entry.watched_behind(layout.offset(frame, code)).is_some())
}

fn note(fixed: &Fixed, thread: &'static Thread, frame_object: Obj, what: c_int, value: Obj) {
    let layout = &fixed.layout;
    // SAFETY: a frame object and its frame.
    let frame: Obj = unsafe { field(frame_object, FRAME) };
    match what {
        CALL => {
            let Some(entry) = prepare(fixed, frame_object) else { return };
            let (opcode, argument) = unit(layout, frame);
            let begins = opcode != RESUME || argument == 0;
            if let (Some(role), true) = (entry.sync, begins) {
                sync::entered(fixed, entry, role, frame);
            }
        }
        RETURN => {
            let Some(entry) = entry_of(thread, layout.code(frame)) else { return };
            let suspends = unit(layout, frame).0 == YIELD_VALUE;
            if suspends {
                let is_value = !value.is_null() && tasks::is_for_consumer(layout, value);
                if entry.origin == Origin::User && entry.flags & tasks::COROUTINE_FLAGS != 0 && thread.loops() > 0 && !is_value {
                    monitor::suspended(fixed, thread, frame);
                }
                if entry.sync == Some(sync::Role::AsyncAcquire) {
                    sync::suspends(fixed, entry, frame);
                }
            } else if let (Some(role), false) = (entry.sync, value.is_null()) {
                sync::returned(fixed, entry, role, frame, value);
            }
        }
        OPCODE => {
            let code = layout.code(frame);
            let Some(entry) = entry_of(thread, code) else { return };
            let Some(offset) = entry.watched_behind(layout.offset(frame, code)) else { return };
            access::at_instruction(Site { fixed, thread, entry, frame, offset, watch: 0 });
        }
        _ => {}
    }
}

/// The code unit that the frame is at: opcode and argument.
fn unit(layout: &Layout, frame: Obj) -> (u8, u8) {
    let at = layout.instruction(frame) as Obj;
    // SAFETY: points into the code object's bytecode.
    unsafe { (field(at, 0), field(at, 1)) }
}

/// Semaphores, and locks of event loops, made before watching began: a semaphore's value now, while there is a single
/// strand, is what it was made with.
fn announce_locks(fixed: &Fixed) {
    const SEMAPHORE: u8 = 2;
    const ASYNC_LOCK: u8 = 3;
    const ASYNC_SEMAPHORE: u8 = 4;
    let layout = &fixed.layout;
    // SAFETY: calls `gc.get_objects()`, a list whose items are borrowed; references are given back.
    unsafe {
        let gc = ffi::PyImport_ImportModule(c"gc".as_ptr());
        let objects = ffi::PyObject_CallObject(crate::hooks::of(gc, c"get_objects"), std::ptr::null_mut());
        if objects.is_null() {
            return ffi::PyErr_Clear();
        }
        for index in 0..ffi::PyList_Size(objects) {
            let object = ffi::PyList_GetItem(objects, index);
            let class = layout.type_of(object);
            let name = names::type_name(layout, class);
            if !matches!(name, "Lock" | "Semaphore" | "BoundedSemaphore") {
                continue;
            }
            let small = match (crate::objects::module_of(class).as_deref(), name) {
                (Some("asyncio.locks"), "Lock") => ASYNC_LOCK,
                (Some("asyncio.locks"), _) => ASYNC_SEMAPHORE,
                (Some("threading"), _) => SEMAPHORE,
                _ => continue,
            };
            let initial = crate::hooks::attribute(object, c"_value", |value| names::int(layout, value));
            type_info(layout, class);
            let id = state::with(|state, _| state.objects.lock(layout, &mut state.names, object)).unwrap_or(0);
            let mut slot = ring::slot(Kind::LockNew, thread::tid());
            (slot.a, slot.b, slot.small) = (id, initial.unwrap_or(1).max(0) as u64, small);
            tasks::say(thread::current(), slot);
        }
        ffi::Py_DecRef(objects);
    }
}
