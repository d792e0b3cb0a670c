//! Names of methods that the agent calls often, as objects that are made once. It calls; what is called is elsewhere.

use std::ffi::{CStr, c_char};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::ffi::{self, Obj};

/// A name, interned when it is first needed.
pub struct Word {
    text: &'static CStr,
    object: AtomicPtr<u8>,
}

impl Word {
    pub const fn new(text: &'static CStr) -> Word {
        Word { text, object: AtomicPtr::new(null_mut()) }
    }

    fn object(&self) -> Obj {
        unsafe extern "C-unwind" {
            fn PyUnicode_InternFromString(text: *const c_char) -> Obj;
        }
        let known = self.object.load(Ordering::Acquire);
        if !known.is_null() {
            return known;
        }
        // SAFETY: takes a NUL-terminated text; the reference is kept for good.
        let made = unsafe { PyUnicode_InternFromString(self.text.as_ptr()) };
        self.object.store(made, Ordering::Release);
        made
    }
}

/// Calls a method without arguments: a new reference, or null when that failed; no error is left.
pub fn call_method(receiver: Obj, name: &Word) -> Obj {
    let name = name.object();
    // SAFETY: one argument, the receiver; a failure is cleared.
    unsafe {
        let result =
            if name.is_null() { null_mut() } else { ffi::PyObject_VectorcallMethod(name, &raw const receiver, 1, null_mut()) };
        if result.is_null() {
            ffi::PyErr_Clear();
        }
        result
    }
}
