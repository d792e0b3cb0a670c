//! A call of a method that was exchanged, in one shape whatever its calling convention: its arguments, and how to go on to
//! the original. It does not know whose method it is.

use std::ffi::CStr;

use crate::ffi::{self, Obj};
use crate::layout::Layout;

/// A call of an exchanged method, whatever its calling convention.
pub struct Call {
    pub receiver: Obj,
    /// METH_METHOD: the class that defines the method; else null.
    pub(super) class: Obj,
    pub(super) arguments: Arguments,
    pub(super) original: usize,
}

#[derive(Clone, Copy)]
pub(super) enum Arguments {
    /// Second parameter of METH_NOARGS and METH_O.
    One(Obj, bool),
    /// METH_VARARGS, with keywords or null.
    Tuple(Obj, Obj, bool),
    /// METH_FASTCALL: values, their number, names of the last ones or null, takes keywords.
    Fast(*const Obj, isize, Obj, bool),
}

impl Call {
    /// Calls the original.
    pub fn go_on(&self) -> Obj {
        // SAFETY: the original was exchanged for a function of the same convention, with which it is called here.
        unsafe {
            match self.arguments {
                Arguments::One(argument, _) => {
                    std::mem::transmute::<usize, ffi::CFunction>(self.original)(self.receiver, argument)
                }
                Arguments::Tuple(args, _, false) => {
                    std::mem::transmute::<usize, ffi::CFunction>(self.original)(self.receiver, args)
                }
                Arguments::Tuple(args, kwargs, true) => {
                    std::mem::transmute::<usize, ffi::KeywordFunction>(self.original)(self.receiver, args, kwargs)
                }
                Arguments::Fast(args, count, _, false) => {
                    std::mem::transmute::<usize, ffi::FastFunction>(self.original)(self.receiver, args, count)
                }
                Arguments::Fast(args, count, names, true) if !self.class.is_null() => {
                    type Function = unsafe extern "C-unwind" fn(Obj, Obj, *const Obj, isize, Obj) -> Obj;
                    std::mem::transmute::<usize, Function>(self.original)(self.receiver, self.class, args, count, names)
                }
                Arguments::Fast(args, count, names, true) => {
                    type Function = unsafe extern "C-unwind" fn(Obj, *const Obj, isize, Obj) -> Obj;
                    std::mem::transmute::<usize, Function>(self.original)(self.receiver, args, count, names)
                }
            }
        }
    }

    /// Calls the original with another first positional argument.
    pub fn go_on_with_first(&self, first: Obj) -> Obj {
        match self.arguments {
            Arguments::Tuple(args, kwargs, keywords) => {
                // SAFETY: copies a tuple; references are counted; the copy is given back.
                unsafe {
                    let size = ffi::PyTuple_Size(args);
                    let copy = ffi::PyTuple_New(size);
                    if copy.is_null() {
                        return copy;
                    }
                    for index in 0..size {
                        let item = if index == 0 { first } else { ffi::PyTuple_GetItem(args, index) };
                        ffi::Py_IncRef(item);
                        ffi::PyTuple_SetItem(copy, index, item);
                    }
                    let result = Call { arguments: Arguments::Tuple(copy, kwargs, keywords), ..*self }.go_on();
                    ffi::Py_DecRef(copy);
                    result
                }
            }
            Arguments::Fast(args, count, names, keywords) => {
                let named = if names.is_null() { 0 } else { unsafe { ffi::PyTuple_Size(names) } };
                // SAFETY: `args` holds that many values.
                let mut copy = unsafe { std::slice::from_raw_parts(args, (count + named) as usize) }.to_vec();
                if let Some(place) = copy.first_mut() {
                    *place = first;
                }
                Call { arguments: Arguments::Fast(copy.as_ptr(), count, names, keywords), ..*self }.go_on()
            }
            Arguments::One(..) => self.go_on(),
        }
    }

    /// Is it called without any argument?
    #[inline]
    pub fn is_bare(&self, layout: &Layout) -> bool {
        match self.arguments {
            Arguments::One(argument, takes) => !takes || argument.is_null(),
            Arguments::Tuple(args, kwargs, _) => {
                // SAFETY: a dict or null.
                layout.tuple_size(args) == 0 && (kwargs.is_null() || unsafe { ffi::PyDict_Size(kwargs) } == 0)
            }
            Arguments::Fast(_, count, names, _) => count == 0 && names.is_null(),
        }
    }

    /// Positional argument `number`, or the keyword argument of that name; null when absent.
    pub fn argument(&self, number: isize, name: &CStr) -> Obj {
        let nothing = std::ptr::null_mut();
        // SAFETY: indexes are below the sizes asked for; results are borrowed for the time of the call.
        unsafe {
            match self.arguments {
                Arguments::One(argument, takes) => {
                    if takes && number == 0 {
                        argument
                    } else {
                        nothing
                    }
                }
                Arguments::Tuple(args, kwargs, _) => {
                    if number < ffi::PyTuple_Size(args) {
                        ffi::PyTuple_GetItem(args, number)
                    } else if kwargs.is_null() {
                        nothing
                    } else {
                        ffi::PyDict_GetItemString(kwargs, name.as_ptr())
                    }
                }
                Arguments::Fast(args, count, names, _) => {
                    if number < count {
                        return *args.offset(number);
                    }
                    if names.is_null() {
                        return nothing;
                    }
                    let wanted = name.to_str().ok();
                    (0..ffi::PyTuple_Size(names))
                        .find(|&index| crate::names::utf8(ffi::PyTuple_GetItem(names, index)) == wanted)
                        .map_or(nothing, |index| *args.offset(count + index))
                }
            }
        }
    }
}
