//! Which interpreter runs. Only the one that the agent was started in is watched: others may hold a GIL of their own, and
//! so come upon what the agent keeps while it is being changed. They share method tables and builtin types with it, and
//! thereby our hooks, which have to give way there. It knows nothing of what the hooks are for.

use std::ffi::{c_int, c_void};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};

use racetrace_probes::wire::Kind;

use crate::ffi::{self, Obj};
use crate::layout::Layout;
use crate::{ring, state, thread};

/// `PyInterpreterState *`.
static WATCHED: AtomicPtr<u8> = AtomicPtr::new(null_mut());
/// Where the interpreter keeps which one it made last; null where that is not known, and has to be asked.
static HEAD: AtomicPtr<AtomicPtr<u8>> = AtomicPtr::new(null_mut());
/// A function that gives the thread state, or null where there is none.
static THREAD_STATE: AtomicUsize = AtomicUsize::new(0);

type PendingCall = extern "C-unwind" fn(*mut c_void) -> c_int;

unsafe extern "C-unwind" {
    fn PyInterpreterState_Head() -> Obj;
    fn PyThreadState_GetInterpreter(thread: Obj) -> Obj;
}

/// From here on this interpreter is the watched one.
pub fn start(layout: &Layout) {
    // The function was renamed in 3.13.
    let ask = ffi::symbol(c"PyThreadState_GetUnchecked").or_else(|| ffi::symbol(c"_PyThreadState_UncheckedGet"));
    THREAD_STATE.store(ask.map_or(0, |ask| ask as usize), Ordering::Relaxed);
    // SAFETY: called with a thread state attached.
    WATCHED.store(unsafe { ffi::PyInterpreterState_Get() }, Ordering::Relaxed);
    HEAD.store(head(layout).unwrap_or(null_mut()), Ordering::Relaxed);
}

/// The place that `PyInterpreterState_Head` reads.
fn head(layout: &Layout) -> Option<*mut AtomicPtr<u8>> {
    /// `_PyRuntimeState` of 3.11 and 3.12 has it here.
    const HEAD: usize = 40;
    /// Later ones begin with this, and say in their sixth word where it is.
    const COOKIE: [u8; 8] = *b"xdebugpy";
    const SAYS_HEAD: usize = 5;
    let runtime = ffi::symbol(c"_PyRuntime")?.cast::<u8>();
    // SAFETY: the runtime's state is larger than that and aligned to words.
    unsafe {
        let offset = match layout.minor {
            ..13 => HEAD,
            _ if runtime.cast::<[u8; 8]>().read() == COOKIE => runtime.cast::<usize>().add(SAYS_HEAD).read(),
            _ => return None,
        };
        let head = runtime.add(offset).cast::<AtomicPtr<u8>>();
        ((*head).load(Ordering::Relaxed) == PyInterpreterState_Head()).then_some(head)
    }
}

/// Has some thread of the watched interpreter make the call at its next safe point: whichever comes to one first, for the
/// main thread may be waiting for the others. Without room for the call it is not made.
pub fn call_later(function: PendingCall) {
    unsafe extern "C-unwind" {
        fn Py_AddPendingCall(function: PendingCall, argument: *mut c_void) -> c_int;
    }
    type Add = unsafe extern "C-unwind" fn(Obj, PendingCall, *mut c_void, c_int) -> c_int;
    const BY_ANY_THREAD: c_int = 0;
    // SAFETY: a function of ours, which stays loaded. The first way exists since 3.12, where processes can be joined.
    unsafe {
        match ffi::symbol(c"_PyEval_AddPendingCall") {
            Some(add) => {
                std::mem::transmute::<*mut c_void, Add>(add)(WATCHED.load(Ordering::Relaxed), function, null_mut(), BY_ANY_THREAD)
            }
            _ => Py_AddPendingCall(function, null_mut()),
        };
    }
}

/// Is this another interpreter's thread? For hooks of what interpreters share; no others are met there.
#[inline(always)]
pub fn is_other() -> bool {
    are_several() && runs_elsewhere()
}

/// The same, for hooks outside of the gate: says so, too, once.
#[inline(always)]
pub fn gives_way() -> bool {
    if !are_several() {
        return false;
    }
    let elsewhere = runs_elsewhere();
    if !elsewhere {
        tell();
    }
    elsewhere
}

/// A new one comes first in the list of all before anything of it runs.
#[inline(always)]
fn are_several() -> bool {
    // SAFETY: both read the same word of the runtime, which stays.
    let head = unsafe {
        match HEAD.load(Ordering::Relaxed).as_ref() {
            Some(head) => head.load(Ordering::Relaxed),
            None => PyInterpreterState_Head(),
        }
    };
    head != WATCHED.load(Ordering::Relaxed)
}

#[cold]
fn runs_elsewhere() -> bool {
    let ask = THREAD_STATE.load(Ordering::Relaxed);
    if ask == 0 {
        return true;
    }
    // SAFETY: a function of the interpreter that takes nothing and never fails; then one that reads a field.
    unsafe {
        let current = std::mem::transmute::<usize, unsafe extern "C-unwind" fn() -> Obj>(ask)();
        current.is_null() || PyThreadState_GetInterpreter(current) != WATCHED.load(Ordering::Relaxed)
    }
}

#[cold]
fn tell() {
    static TOLD: AtomicBool = AtomicBool::new(false);
    if !TOLD.swap(true, Ordering::Relaxed) {
        thread::outermost(|| {
            state::with(|state, _| {
                let mut slot = ring::slot(Kind::NotWatched, thread::tid());
                slot.word = state.names.text("sub-interpreters");
                slot.a = u64::from(state.names.text("only a process's first interpreter is watched"));
                ring::push(slot);
            })
        });
    }
}
