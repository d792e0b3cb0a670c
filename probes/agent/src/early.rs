//! 3.11: nothing is traced until there is a second strand, but a loop that changes what it walks bites in a single one.
//! Code that is about to be executed for the first time, a script or a module, is looked through for such loops; where
//! there is one, tracing begins at once. It looks at nothing once tracing is on.

use std::ffi::{CStr, c_char, c_int, c_void};

use racetrace_probes::wire::Origin;

use crate::codes;
use crate::ffi::{self, Obj};
use crate::state::{self, Fixed};
use crate::{object, ring, thread, trace, watch};

type Hook = unsafe extern "C-unwind" fn(*const c_char, Obj, *mut c_void) -> c_int;

/// Code within code that is looked at.
const DEEPEST: u32 = 8;

pub fn start() {
    unsafe extern "C-unwind" {
        fn PySys_AddAuditHook(hook: Hook, data: *mut c_void) -> c_int;
    }
    // SAFETY: a function that stays loaded; a refusal leaves an error, which is cleared.
    unsafe {
        if PySys_AddAuditHook(audited, std::ptr::null_mut()) != 0 {
            ffi::PyErr_Clear();
        }
    }
}

/// `exec(code)`: said by the interpreter before it executes a script or a module.
unsafe extern "C-unwind" fn audited(event: *const c_char, args: Obj, _data: *mut c_void) -> c_int {
    // SAFETY: a NUL-terminated text.
    if trace::is_active() || unsafe { CStr::from_ptr(event) } != c"exec" || !ring::recording() {
        return 0;
    }
    let Some(fixed) = state::fixed() else { return 0 };
    thread::outermost(|| {
        // SAFETY: the event's arguments are a tuple; its item is borrowed.
        let code = unsafe { if ffi::PyTuple_Size(args) == 1 { ffi::PyTuple_GetItem(args, 0) } else { return } };
        if changes_what_it_walks(fixed, code, DEEPEST) {
            watch::activate(fixed);
        }
    });
    0
}

fn changes_what_it_walks(fixed: &Fixed, code: Obj, depth: u32) -> bool {
    let layout = &fixed.layout;
    if depth == 0 || code.is_null() || layout.type_of(code) != object!(PyCode_Type) {
        return false;
    }
    codes::own_loop_changes(fixed, code, Origin::User)
        || codes::inner(layout, code).into_iter().any(|inner| changes_what_it_walks(fixed, inner, depth - 1))
}
