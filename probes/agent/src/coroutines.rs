//! Coroutine objects that are freed without ever having been run, and where they were made.

use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use racetrace_probes::wire::Kind;

use crate::ffi::{self, Obj};
use crate::hooks::of;
use crate::names::{int, utf8};
use crate::state::{self, Fixed};
use crate::{object, ring, stacks, tasks, thread};

/// The interpreter notes where coroutines are made because we asked it to.
static ORIGINS_ARE_OURS: AtomicBool = AtomicBool::new(false);
/// Tasks made and suspensions since.
static TURNS: AtomicU32 = AtomicU32::new(0);
/// Noting it takes nearly as long as making the coroutine. Whoever forgets an `await` mostly does so early; later it is
/// only noted again once a coroutine was dropped.
const ENOUGH: u32 = 4096;

/// Asks the interpreter to note where coroutines are made, unless the program has asked for more itself.
pub fn track_origins() {
    TURNS.store(0, Ordering::Relaxed);
    ORIGINS_ARE_OURS.store(change_depth(0, 1), Ordering::Relaxed);
}

/// Asks no more.
pub fn stop() {
    if ORIGINS_ARE_OURS.swap(false, Ordering::Relaxed) {
        change_depth(1, 0);
    }
}

/// An event loop's coroutines come and go.
#[inline]
pub fn turn() {
    if TURNS.fetch_add(1, Ordering::Relaxed) == ENOUGH && ORIGINS_ARE_OURS.load(Ordering::Relaxed) {
        ORIGINS_ARE_OURS.store(!change_depth(1, 0), Ordering::Relaxed);
    }
}

/// Sets how many frames are noted, if it is what it is thought to be. Did it?
#[cold]
fn change_depth(from: i64, to: c_int) -> bool {
    let Some(fixed) = state::fixed() else { return false };
    // SAFETY: calls of functions of `sys` with the GIL; references are given back.
    unsafe {
        let sys = ffi::PyImport_ImportModule(c"sys".as_ptr());
        let get = of(sys, c"get_coroutine_origin_tracking_depth");
        let set = of(sys, c"set_coroutine_origin_tracking_depth");
        let mut done = std::ptr::null_mut();
        if !get.is_null() && !set.is_null() {
            let depth = ffi::PyObject_CallObject(get, std::ptr::null_mut());
            if int(&fixed.layout, depth) == Some(from) {
                done = ffi::PyObject_CallFunction(set, c"i".as_ptr(), to);
            }
            give_back(&[depth, done]);
        }
        give_back(&[sys, get, set]);
        ffi::PyErr_Clear();
        !done.is_null()
    }
}

fn give_back(objects: &[Obj]) {
    for &object in objects.iter().filter(|object| !object.is_null()) {
        // SAFETY: references that the caller owns.
        unsafe { ffi::Py_DecRef(object) };
    }
}

/// The interpreter is about to warn about `coroutine`. `frame` is that of the warning function.
pub fn dropped(fixed: &Fixed, frame: Obj, coroutine: Obj) {
    let layout = &fixed.layout;
    let qualname = of(coroutine, c"__qualname__");
    let origin = of(coroutine, c"cr_origin");
    let (mut file, mut line) = (String::new(), 0);
    if !origin.is_null() && layout.type_of(origin) == object!(PyTuple_Type) {
        // SAFETY: a tuple of (file, line, function) tuples, checked on the way; results are borrowed.
        unsafe {
            let first = if ffi::PyTuple_Size(origin) > 0 { ffi::PyTuple_GetItem(origin, 0) } else { std::ptr::null_mut() };
            if !first.is_null() && ffi::PyTuple_Size(first) >= 2 {
                file = utf8(ffi::PyTuple_GetItem(first, 0)).unwrap_or_default().to_owned();
                line = int(layout, ffi::PyTuple_GetItem(first, 1)).unwrap_or(0) as u64;
            }
        }
    }
    // It was made before anybody asked: where is not known, and the next one's place will be.
    if fixed.is_joined() && file.is_empty() {
        give_back(&[qualname, origin]);
        return track_origins();
    }
    let name = utf8(qualname).unwrap_or("coroutine").to_owned();
    let stack = stacks::stack(fixed, layout.previous(frame), None);
    let words = state::with(|state, _| (state.names.text(&name), state.names.text(&file)));
    if let Some((word, file)) = words {
        let mut slot = ring::slot(Kind::CoroutineDropped, thread::tid());
        (slot.word, slot.a, slot.b, slot.stack) = (word, u64::from(file), line, stack);
        tasks::say(thread::current(), slot);
    }
    give_back(&[qualname, origin]);
    if ORIGINS_ARE_OURS.load(Ordering::Relaxed) {
        forget_origin(layout, coroutine);
    } else if file.is_empty() {
        track_origins();
    }
}

/// The program's own warning must not become longer by our asking: the origin is taken away again.
fn forget_origin(layout: &crate::layout::Layout, coroutine: Obj) {
    // After the header: weak references, name, qualified name, exception state (two words), origin (3.11 has the code first).
    let words = if layout.minor == 11 { 6 } else { 5 };
    // SAFETY: that field of a coroutine object holds a tuple or null.
    unsafe {
        let place = coroutine.add(layout.header + 8 * words).cast::<Obj>();
        let origin = *place;
        if !origin.is_null() && layout.type_of(origin) == object!(PyTuple_Type) {
            *place = std::ptr::null_mut();
            ffi::Py_DecRef(origin);
        }
    }
}
