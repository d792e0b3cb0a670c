//! Writes to open files, at each layer that they pass: text, buffer, system. What a record is, the analysis decides.

use std::ffi::{c_int, c_void};

use racetrace_probes::wire::Kind;

use super::{Handle, describe, descriptor_of, find, note, of_descriptor};
use crate::ffi::{self, Obj};
use crate::hooks::{Call, streams};
use crate::layout::Layout;
use crate::state::Fixed;
use crate::{names, object, ring, stacks, tasks, thread};

mod level {
    pub const TEXT: u8 = 0;
    pub const BUFFERED: u8 = 1;
    pub const SYSTEM: u8 = 2;
}

pub(super) fn write_text(call: &Call) -> Obj {
    write(call, level::TEXT)
}
pub(super) fn write_buffered(call: &Call) -> Obj {
    write(call, level::BUFFERED)
}
pub(super) fn write_raw(call: &Call) -> Obj {
    write(call, level::SYSTEM)
}

fn write(call: &Call, level: u8) -> Obj {
    note(|fixed| {
        let Some(handle) = describe(fixed, call.receiver) else {
            return if level == level::SYSTEM {
                streams::goes(fixed, descriptor_of(&fixed.layout, call.receiver)?)
            } else {
                None
            };
        };
        say_write(fixed, handle, level, call.argument(0, c"text"))
    });
    call.go_on()
}

pub(super) fn write_descriptor(call: &Call) -> Obj {
    note(|fixed| {
        let fd = names::int(&fixed.layout, call.argument(0, c"fd"))? as i32;
        let Some(handle) = of_descriptor(fd) else { return streams::goes(fixed, fd) };
        say_write(fixed, handle, level::SYSTEM, call.argument(1, c"data"))
    });
    call.go_on()
}

fn say_write(fixed: &Fixed, handle: Handle, level: u8, data: Obj) -> Option<()> {
    let layout = &fixed.layout;
    let frame = tasks::current_frame(layout);
    let (length, ends_line) = extent(layout, data);
    let nothing = length == 0 && names::utf8(data).is_some();
    if frame.is_null() || nothing {
        return None;
    }
    tasks::strand(fixed, thread::current(), frame);
    let stack = stacks::stack(fixed, frame, None);
    find(handle, stack);
    let mut slot = ring::slot(Kind::FileWrite, thread::tid());
    slot.stack = stack;
    slot.d = frame as u64;
    (slot.a, slot.b) = (handle.file, handle.inode);
    slot.c = u64::from(length) | (handle.fd as u32 as u64) << 32;
    (slot.small, slot.short) = (level, u16::from(handle.append) | u16::from(ends_line) << 1);
    tasks::say(thread::current(), slot);
    Some(())
}

/// Bytes written, and whether they end a line.
fn extent(layout: &Layout, data: Obj) -> (u32, bool) {
    if data.is_null() {
        return (0, false);
    }
    if let Some(text) = names::utf8(data) {
        return (text.len() as u32, text.ends_with('\n'));
    }
    let kind = layout.type_of(data);
    if kind == object!(PyBytes_Type) || kind == object!(PyByteArray_Type) || kind == object!(PyMemoryView_Type) {
        return bytes_extent(data).unwrap_or((0, false));
    }
    (0, false)
}

/// The same of what a buffer hands to the system: a view of its bytes. Other exporters could run code of the program.
fn bytes_extent(data: Obj) -> Option<(u32, bool)> {
    unsafe extern "C-unwind" {
        fn PyObject_GetBuffer(exporter: Obj, view: *mut c_void, flags: c_int) -> c_int;
        fn PyBuffer_Release(view: *mut c_void);
    }
    /// `Py_buffer`: address, exporter, length come first; the whole takes 80 bytes.
    #[repr(C, align(8))]
    struct View {
        start: *const u8,
        exporter: Obj,
        length: isize,
        rest: [u64; 13],
    }
    let mut view = View { start: std::ptr::null(), exporter: std::ptr::null_mut(), length: 0, rest: [0; 13] };
    // SAFETY: a type of the interpreter's own with the buffer protocol; the view is given back before anything else runs.
    unsafe {
        if PyObject_GetBuffer(data, (&raw mut view).cast(), 0) != 0 {
            ffi::PyErr_Clear();
            return None;
        }
        let ends_line = view.length > 0 && *view.start.offset(view.length - 1) == b'\n';
        let length = view.length.clamp(0, u32::MAX as isize) as u32;
        PyBuffer_Release((&raw mut view).cast());
        Some((length, ends_line))
    }
}
