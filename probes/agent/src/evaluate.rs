//! 3.11: which functions are traced at all. A trace function slows every instruction of every frame, so frames that hold
//! nothing to watch are run with tracing switched off in their C frame; what the standard library's functions mean for
//! order is said here, before and after they run. It stands in the interpreter's place for frame evaluation (PEP 523), and
//! gives it back where recursion is deep: with it, each call takes some of the C stack.

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use racetrace_probes::wire::Origin;

use crate::codes::{self, Entry};
use crate::ffi::{self, Obj, field};
use crate::state::{self, Fixed};
use crate::thread::Thread;
use crate::{ring, sync, tasks, thread, trace};

type Evaluate = unsafe extern "C-unwind" fn(Obj, Obj, c_int) -> Obj;

// Offsets of 3.11 in the thread state.
const RECURSION_REMAINING: usize = 32;
const RECURSION_LIMIT: usize = 36;
const TRACING: usize = 44;
const CFRAME: usize = 56;
const PROFILE_FUNCTION: usize = 64;
/// Of the C frame: the flag, and the frame that runs.
const USE_TRACING: usize = 0;
const CURRENT: usize = 8;
const ON: u8 = 255;
const OFF: u8 = 0;

/// CO_GENERATOR and what `tasks` has.
const SUSPENDS: u32 = 0x20 | tasks::COROUTINE_FLAGS;
/// Calls of Python functions, one within another, up to which we stay in place.
const DEEPEST: i32 = 200;

static ORIGINAL: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
static IN_PLACE: AtomicBool = AtomicBool::new(false);

/// Code objects that were met, by their addresses: found without the gate.
static NEAR: [AtomicPtr<Entry>; NEAR_PLACES] = [const { AtomicPtr::new(std::ptr::null_mut()) }; NEAR_PLACES];
const NEAR_PLACES: usize = 1 << 10;

/// Takes the place, unless somebody else has it.
pub fn start() {
    // SAFETY: functions of 3.11, called with the GIL.
    unsafe {
        let (Some(get), Some(default)) =
            (ffi::symbol(c"_PyInterpreterState_GetEvalFrameFunc"), ffi::symbol(c"_PyEval_EvalFrameDefault"))
        else {
            return;
        };
        let get = std::mem::transmute::<*mut c_void, unsafe extern "C-unwind" fn(Obj) -> *mut c_void>(get);
        if get(ffi::PyInterpreterState_Get()) != default {
            return;
        }
        ORIGINAL.store(default, Ordering::Release);
        IN_PLACE.store(set(evaluate as *const () as *mut c_void), Ordering::Release);
    }
}

/// Gives it back, for good: from here on everything is traced.
#[cold]
fn stop() {
    if IN_PLACE.swap(false, Ordering::AcqRel) {
        // SAFETY: the function that was in place before.
        unsafe { set(ORIGINAL.load(Ordering::Acquire)) };
    }
}

unsafe fn set(function: *mut c_void) -> bool {
    // SAFETY: a function of 3.11, called with the GIL.
    unsafe {
        let Some(set) = ffi::symbol(c"_PyInterpreterState_SetEvalFrameFunc") else { return false };
        std::mem::transmute::<*mut c_void, unsafe extern "C-unwind" fn(Obj, *mut c_void)>(set)(
            ffi::PyInterpreterState_Get(),
            function,
        );
    }
    true
}

/// What a frame needs.
enum Needs {
    Nothing,
    /// Its events.
    Trace,
    /// To be told of when it begins and ends.
    Role(&'static Entry, sync::Role),
}

/// Evaluates a frame. Owns nothing while the original runs: a thread may end in there.
unsafe extern "C-unwind" fn evaluate(tstate: Obj, frame: Obj, throws: c_int) -> Obj {
    // SAFETY: fields of this version's thread state and C frame; the original is called with what we were called with.
    unsafe {
        let original = std::mem::transmute::<*mut c_void, Evaluate>(ORIGINAL.load(Ordering::Relaxed));
        let whose = whose(tstate);
        if whose == Whose::Nobodys || field::<c_int>(tstate, TRACING) != 0 || !ring::recording() {
            return original(tstate, frame, throws);
        }
        let cframe: Obj = field(tstate, CFRAME);
        let before: u8 = field(cframe, USE_TRACING);
        if field::<i32>(tstate, RECURSION_LIMIT) - field::<i32>(tstate, RECURSION_REMAINING) > DEEPEST {
            stop();
            *cframe.add(USE_TRACING) = ON;
            return original(tstate, frame, throws);
        }
        let needs = if whose == Whose::Ours { needs(frame, throws != 0) } else { Needs::Trace };
        *cframe.add(USE_TRACING) = if matches!(needs, Needs::Trace) { ON } else { OFF };
        if let Needs::Role(entry, role) = needs {
            // As the original is going to set it: whoever looks at the stack finds the caller.
            frame.add(state::fixed().map_or(0, |fixed| fixed.layout.frame_previous)).cast::<Obj>().write(field(cframe, CURRENT));
            enter(entry, role, frame);
        }
        let result = original(tstate, frame, throws);
        if let Needs::Role(entry, role) = needs
            && !result.is_null()
        {
            leave(entry, role, frame, result);
        }
        // What the callee has changed about tracing holds for its caller too.
        *cframe.add(USE_TRACING) = match self::whose(tstate) {
            Whose::Ours if IN_PLACE.load(Ordering::Relaxed) => before,
            Whose::Ours | Whose::Others => ON,
            Whose::Nobodys => OFF,
        };
        result
    }
}

/// Who traces or profiles a thread.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    Nobodys,
    /// Nobody but us.
    Ours,
    Others,
}

#[inline(always)]
fn whose(tstate: Obj) -> Whose {
    // SAFETY: fields of this version's thread state.
    let (profiles, traces): (usize, usize) = unsafe { (field(tstate, PROFILE_FUNCTION), field(tstate, trace::FUNCTION)) };
    match profiles {
        0 if traces == 0 => Whose::Nobodys,
        0 if trace::is_alone(traces) => Whose::Ours,
        _ => Whose::Others,
    }
}

/// What is known of a code object, if it was met here.
#[inline(always)]
pub fn entry(code: Obj) -> Option<&'static Entry> {
    // SAFETY: entries are never freed.
    unsafe { near(code).load(Ordering::Acquire).as_ref() }.filter(|entry| entry.code == code)
}

#[inline(always)]
fn near(code: Obj) -> &'static AtomicPtr<Entry> {
    &NEAR[(code as usize >> 5) % NEAR_PLACES]
}

#[inline(always)]
fn needs(frame: Obj, throws: bool) -> Needs {
    let Some(fixed) = state::fixed() else { return Needs::Trace };
    let code = fixed.layout.code(frame);
    let known = match entry(code) {
        None => look_up(fixed, code, frame, throws),
        known => known,
    };
    let Some(entry) = known else { return Needs::Trace };
    if entry.origin == Origin::User && (entry.is_watched() || entry.flags & tasks::COROUTINE_FLAGS != 0) {
        return Needs::Trace;
    }
    match entry.sync {
        Some(_) if entry.flags & SUSPENDS != 0 => Needs::Trace,
        Some(role) => Needs::Role(entry, role),
        None => Needs::Nothing,
    }
}

/// Not while an exception is on its way: what is not known yet is looked up by functions of the interpreter.
#[cold]
fn look_up(fixed: &Fixed, code: Obj, frame: Obj, throws: bool) -> Option<&'static Entry> {
    if throws {
        return None;
    }
    let entry = thread::outermost(|| codes::learn(fixed, code, fixed.layout.globals(frame))).flatten()?;
    near(code).store(std::ptr::from_ref(entry).cast_mut(), Ordering::Release);
    Some(entry)
}

fn enter(entry: &'static Entry, role: sync::Role, frame: Obj) {
    said(|fixed| sync::entered(fixed, entry, role, frame));
}

fn leave(entry: &'static Entry, role: sync::Role, frame: Obj, result: Obj) {
    if role.acts_on_return() {
        said(|fixed| sync::returned(fixed, entry, role, frame, result));
    }
}

fn said(work: impl FnOnce(&Fixed)) {
    if let Some(fixed) = state::fixed() {
        let thread: &'static Thread = thread::current();
        thread.outermost(|| work(fixed));
    }
}
