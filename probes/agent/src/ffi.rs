//! The C functions and types of CPython that the agent uses, and raw reads of object fields. Declares; decides nothing.
//!
//! The agent links to no libpython: like any extension module it leaves these symbols open, and the interpreter that
//! loads it provides them. Only symbols that every supported version exports stand here; others go through `dlsym`.

use std::ffi::{c_char, c_int, c_long, c_void};

/// A `PyObject *` (borrowed unless said otherwise), or a pointer into an interpreter structure.
pub type Obj = *mut u8;

pub type CFunction = unsafe extern "C-unwind" fn(Obj, Obj) -> Obj;
pub type FastFunction = unsafe extern "C-unwind" fn(Obj, *const Obj, isize) -> Obj;
/// A `vectorcallfunc`: the callable, arguments, their number and a flag, names of keywords.
pub type VectorFunction = unsafe extern "C-unwind" fn(Obj, *const Obj, usize, Obj) -> Obj;
pub type KeywordFunction = unsafe extern "C-unwind" fn(Obj, Obj, Obj) -> Obj;

#[repr(C)]
pub struct MethodDef {
    pub name: *const c_char,
    pub function: *mut c_void,
    pub flags: c_int,
    pub doc: *const c_char,
}

pub const METH_VARARGS: c_int = 1;
pub const METH_KEYWORDS: c_int = 2;
pub const METH_NOARGS: c_int = 4;
pub const METH_O: c_int = 8;
pub const METH_FASTCALL: c_int = 0x80;
pub const METH_METHOD: c_int = 0x200;

unsafe extern "C-unwind" {
    pub fn Py_IncRef(object: Obj);
    pub fn Py_DecRef(object: Obj);
    pub fn Py_GetVersion() -> *const c_char;
    pub fn PyThreadState_Get() -> Obj;
    pub fn PyCMethod_New(def: *const MethodDef, receiver: Obj, module: Obj, class: Obj) -> Obj;
    pub fn PyErr_Clear();
    pub fn PyErr_Occurred() -> Obj;
    pub fn PyImport_ImportModule(name: *const c_char) -> Obj;
    pub fn PyImport_GetModuleDict() -> Obj;
    pub fn PyModuleDef_Init(def: *mut c_void) -> Obj;
    pub fn PyModule_GetDict(module: Obj) -> Obj;
    pub fn PyObject_GetAttrString(object: Obj, name: *const c_char) -> Obj;
    pub fn PyObject_CallFunction(callable: Obj, format: *const c_char, ...) -> Obj;
    pub fn PyObject_VectorcallMethod(name: Obj, args: *const Obj, count: usize, names: Obj) -> Obj;
    pub fn PyObject_CallObject(callable: Obj, args: Obj) -> Obj;
    pub fn PyObject_Call(callable: Obj, args: Obj, kwargs: Obj) -> Obj;
    pub fn PyObject_Hash(object: Obj) -> isize;
    pub fn PyDict_GetItemString(dict: Obj, key: *const c_char) -> Obj;
    pub fn PyDict_Contains(dict: Obj, key: Obj) -> c_int;
    pub fn PySet_Contains(set: Obj, key: Obj) -> c_int;
    pub fn PyDict_Size(dict: Obj) -> isize;
    pub fn PyList_Size(list: Obj) -> isize;
    pub fn PyList_GetItem(list: Obj, index: isize) -> Obj;
    pub fn PyTuple_Size(tuple: Obj) -> isize;
    pub fn PyTuple_GetItem(tuple: Obj, index: isize) -> Obj;
    pub fn PyTuple_New(size: isize) -> Obj;
    pub fn PyTuple_SetItem(tuple: Obj, index: isize, item: Obj) -> c_int;
    pub fn PyUnicode_AsUTF8AndSize(text: Obj, size: *mut isize) -> *const c_char;
    pub fn PyUnicode_FromStringAndSize(text: *const c_char, size: isize) -> Obj;
    pub fn PyBytes_AsStringAndSize(bytes: Obj, buffer: *mut *mut c_char, size: *mut isize) -> c_int;
    pub fn PyLong_FromLong(value: c_long) -> Obj;
    pub fn PyLong_AsLongLong(object: Obj) -> i64;
    pub fn PyCode_GetCode(code: Obj) -> Obj;
    pub fn PyType_IsSubtype(a: Obj, b: Obj) -> c_int;
    pub fn PyObject_GenericGetAttr(object: Obj, name: Obj) -> Obj;
    pub fn PyObject_GenericSetAttr(object: Obj, name: Obj, value: Obj) -> c_int;
    pub fn _PyType_Lookup(class: Obj, name: Obj) -> Obj;
    pub fn PyInterpreterState_Get() -> Obj;
    pub fn PyEval_SetTrace(function: *const c_void, argument: Obj);

    pub static mut PyBaseObject_Type: u8;
    pub static mut PyType_Type: u8;
    pub static mut PyModule_Type: u8;
    pub static mut PyDict_Type: u8;
    pub static mut PyList_Type: u8;
    pub static mut PySet_Type: u8;
    pub static mut PyFrozenSet_Type: u8;
    pub static mut PyTuple_Type: u8;
    pub static mut PyUnicode_Type: u8;
    pub static mut PyLong_Type: u8;
    pub static mut PyBool_Type: u8;
    pub static mut PyFloat_Type: u8;
    pub static mut PyBytes_Type: u8;
    pub static mut PyByteArray_Type: u8;
    pub static mut PyMemoryView_Type: u8;
    pub static mut PyCell_Type: u8;
    pub static mut PyCode_Type: u8;
    pub static mut PyFunction_Type: u8;
    pub static mut PyMethod_Type: u8;
    pub static mut PyCFunction_Type: u8;
    pub static mut PyMethodDescr_Type: u8;
    pub static mut PyMemberDescr_Type: u8;
    pub static mut PyCoro_Type: u8;
    pub static mut PyGen_Type: u8;
    pub static mut _Py_NoneStruct: u8;
    pub static mut _Py_TrueStruct: u8;
    pub static mut _Py_FalseStruct: u8;
}

/// The address of a static object of the interpreter.
#[macro_export]
macro_rules! object {
    ($name:ident) => {
        (&raw mut $crate::ffi::$name)
    };
}

/// Reads a field.
///
/// # Safety
/// `base` points to an object that lives, and `offset` is inside it and holds a `T`.
#[inline(always)]
pub unsafe fn field<T: Copy>(base: Obj, offset: usize) -> T {
    // SAFETY: the caller says that `base + offset` holds a `T`.
    unsafe { base.add(offset).cast::<T>().read_unaligned() }
}

/// A function of the interpreter that not every supported version exports.
pub fn symbol(name: &std::ffi::CStr) -> Option<*mut c_void> {
    // SAFETY: dlsym with a NUL-terminated name.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!found.is_null()).then_some(found)
}
