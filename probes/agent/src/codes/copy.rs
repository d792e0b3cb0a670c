//! Code objects of the interpreter as plain data: what the plan and the reports need of them is copied out, once, outside
//! of the gate. It does not keep anything.

use racetrace_probes::code::{Code, Const};

use crate::ffi::{self, Obj, field};
use crate::hooks::attribute;
use crate::layout::{Layout, type_flag, type_slot};
use crate::names::{small_int, utf8};
use crate::object;

/// Copies what the plan and the reports need out of a code object.
pub fn copy(layout: &Layout, code: Obj) -> Option<Code> {
    let text = |name: &std::ffi::CStr| attribute(code, name, |value| utf8(value).map(str::to_owned));
    let number = |name: &std::ffi::CStr| attribute(code, name, |value| small_int(layout, value)).map(|value| value as u32);
    let bytes_of = |name: &std::ffi::CStr| attribute(code, name, bytes);
    let more = layout.header - 16;
    // SAFETY: these fields of a code object hold a tuple and a bytes object.
    let (local_names, kinds): (Obj, Obj) = unsafe { (field(code, 96 + more), field(code, 104 + more)) };
    let kinds = bytes(kinds)?;
    let count = |bit: u8| kinds.iter().filter(|&&kind| kind & bit != 0).count() as u32;
    Some(Code {
        filename: text(c"co_filename")?,
        name: text(c"co_name")?,
        qualname: text(c"co_qualname")?,
        first_line: number(c"co_firstlineno")?,
        flags: number(c"co_flags")?,
        argcount: number(c"co_argcount")?,
        posonly: number(c"co_posonlyargcount")?,
        kwonly: number(c"co_kwonlyargcount")?,
        stacksize: number(c"co_stacksize")?,
        bytecode: bytecode(code)?,
        names: attribute(code, c"co_names", |tuple| Some(texts(tuple)))?,
        locals: texts(local_names),
        nlocals: count(0x20),
        ncells: count(0x40),
        nfrees: count(0x80),
        consts: attribute(code, c"co_consts", |tuple| Some(constants(layout, tuple, 3)))?,
        line_table: bytes_of(c"co_linetable")?,
        exception_table: bytes_of(c"co_exceptiontable")?,
    })
}

/// What a code object executes, as it was compiled.
pub fn bytecode(code: Obj) -> Option<Vec<u8>> {
    // SAFETY: `code` is a code object; the result is a new reference.
    let bytecode = unsafe { ffi::PyCode_GetCode(code) };
    let copied = bytes(bytecode);
    drop_reference(bytecode);
    copied
}

/// The code objects among a code object's constants.
pub fn inner(layout: &Layout, code: Obj) -> Vec<Obj> {
    // SAFETY: a tuple that lives as long as its code object; items are borrowed.
    unsafe {
        let constants: Obj = field(code, layout.code_consts);
        let size = if constants.is_null() { 0 } else { ffi::PyTuple_Size(constants) };
        let items = (0..size).map(|at| ffi::PyTuple_GetItem(constants, at));
        items.filter(|item| layout.type_of(*item) == object!(PyCode_Type)).collect()
    }
}

fn drop_reference(object: Obj) {
    if !object.is_null() {
        // SAFETY: gives a reference back that the caller owns.
        unsafe { ffi::Py_DecRef(object) };
    }
}

fn bytes(object: Obj) -> Option<Vec<u8>> {
    let (mut buffer, mut size) = (std::ptr::null_mut(), 0isize);
    // SAFETY: the function checks the type; the buffer lives as long as the object, and is copied at once.
    unsafe {
        if object.is_null() || ffi::PyBytes_AsStringAndSize(object, &raw mut buffer, &raw mut size) != 0 {
            ffi::PyErr_Clear();
            return None;
        }
        Some(std::slice::from_raw_parts(buffer.cast::<u8>(), size as usize).to_vec())
    }
}

fn items(tuple: Obj) -> impl Iterator<Item = Obj> {
    // SAFETY: `tuple` is a tuple; indexes are below its size; items are borrowed.
    let size = unsafe { ffi::PyTuple_Size(tuple) }.max(0);
    (0..size).map(move |index| unsafe { ffi::PyTuple_GetItem(tuple, index) })
}

fn texts(tuple: Obj) -> Vec<String> {
    items(tuple).map(|item| utf8(item).unwrap_or_default().to_owned()).collect()
}

fn constants(layout: &Layout, tuple: Obj, depth: u32) -> Vec<Const> {
    items(tuple).map(|item| constant(layout, item, depth)).collect()
}

fn constant(layout: &Layout, item: Obj, depth: u32) -> Const {
    let class = layout.type_of(item);
    // SAFETY: reads the flags of a type object.
    let flags: u64 = unsafe { layout.slot(class, type_slot::FLAGS) };
    if item == object!(_Py_NoneStruct) {
        Const::None
    } else if class == object!(PyBool_Type) {
        Const::Bool(item == object!(_Py_TrueStruct))
    } else if flags & type_flag::LONG != 0 {
        small_int(layout, item).map_or(Const::Other, Const::Int)
    } else if flags & type_flag::UNICODE != 0 {
        Const::text(utf8(item).unwrap_or_default())
    } else if class == object!(PyTuple_Type) && depth > 0 {
        Const::Tuple(constants(layout, item, depth - 1))
    } else {
        Const::Other
    }
}
