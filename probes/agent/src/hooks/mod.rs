//! Ways of being told: method tables and type slots of the interpreter that are exchanged for our own functions, which
//! call the original and note what happened. Each submodule says what it listens to; this one knows how to listen.
//!
//! A method is exchanged in its `PyMethodDef`, where every way of calling it looks: bound methods made before, calls
//! that the interpreter has specialised, `with` statements.

pub mod asyncio;
mod call;
pub mod dealloc;
pub mod family;
pub mod files;
pub mod locks;
pub mod proxies;
pub mod queues;
pub mod semaphores;
pub mod shared;
pub mod streams;
pub mod threads;
pub mod waiting;
pub mod word;

use std::ffi::CStr;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::ffi::{self, METH_FASTCALL, METH_KEYWORDS, METH_METHOD, METH_NOARGS, METH_O, METH_VARARGS, MethodDef, Obj, field};
use crate::layout::Layout;
use crate::{interpreters, object, ring};

use call::Arguments;
pub use call::Call;

pub type Handler = fn(&Call) -> Obj;

/// Most methods that can be exchanged.
const MOST: usize = 128;

/// An exchanged method: what was there, and who handles calls now.
struct Exchange {
    original: AtomicUsize,
    handler: AtomicUsize,
    def: AtomicUsize,
    /// Our function in its place.
    ours: AtomicUsize,
}

static EXCHANGES: [Exchange; MOST] = [const {
    Exchange { original: AtomicUsize::new(0), handler: AtomicUsize::new(0), def: AtomicUsize::new(0), ours: AtomicUsize::new(0) }
}; MOST];
static EXCHANGED: AtomicUsize = AtomicUsize::new(0);

/// The call is put together where it stays: to copy it right away would have the processor wait for what was only just
/// written.
#[inline(always)]
fn dispatch<const N: usize>(receiver: Obj, class: Obj, arguments: Arguments) -> Obj {
    let exchange = &EXCHANGES[N];
    hand_over(exchange, &Call { receiver, class, arguments, original: exchange.original.load(Ordering::Relaxed) })
}

#[inline(never)]
fn hand_over(exchange: &Exchange, call: &Call) -> Obj {
    if !ring::recording() || interpreters::gives_way() {
        return call.go_on();
    }
    // SAFETY: a handler is stored before the method is exchanged.
    let handler: Handler = unsafe { std::mem::transmute(exchange.handler.load(Ordering::Relaxed)) };
    handler(call)
}

unsafe extern "C-unwind" fn none<const N: usize>(receiver: Obj, argument: Obj) -> Obj {
    dispatch::<N>(receiver, null_mut(), Arguments::One(argument, false))
}
unsafe extern "C-unwind" fn one<const N: usize>(receiver: Obj, argument: Obj) -> Obj {
    dispatch::<N>(receiver, null_mut(), Arguments::One(argument, true))
}
unsafe extern "C-unwind" fn tuple<const N: usize>(receiver: Obj, args: Obj) -> Obj {
    dispatch::<N>(receiver, null_mut(), Arguments::Tuple(args, null_mut(), false))
}
unsafe extern "C-unwind" fn tuple_keywords<const N: usize>(receiver: Obj, args: Obj, kwargs: Obj) -> Obj {
    dispatch::<N>(receiver, null_mut(), Arguments::Tuple(args, kwargs, true))
}
unsafe extern "C-unwind" fn fast<const N: usize>(receiver: Obj, args: *const Obj, count: isize) -> Obj {
    dispatch::<N>(receiver, null_mut(), Arguments::Fast(args, count, null_mut(), false))
}
unsafe extern "C-unwind" fn fast_keywords<const N: usize>(receiver: Obj, args: *const Obj, count: isize, names: Obj) -> Obj {
    dispatch::<N>(receiver, null_mut(), Arguments::Fast(args, count, names, true))
}
unsafe extern "C-unwind" fn fast_method<const N: usize>(
    receiver: Obj,
    class: Obj,
    args: *const Obj,
    count: isize,
    names: Obj,
) -> Obj {
    dispatch::<N>(receiver, class, Arguments::Fast(args, count, names, true))
}

/// One function for each convention, for each exchange.
struct Functions([usize; 7]);

macro_rules! functions {
    ($($n:literal)*) => {
        fn functions(number: usize) -> Option<Functions> {
            match number {
                $($n => Some(Functions([
                    none::<$n> as *const () as usize, one::<$n> as *const () as usize, tuple::<$n> as *const () as usize,
                    tuple_keywords::<$n> as *const () as usize, fast::<$n> as *const () as usize, fast_keywords::<$n> as *const () as usize,
                    fast_method::<$n> as *const () as usize,
                ])),)*
                _ => None,
            }
        }
    };
}
functions!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47
    48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79 80 81 82 83 84 85 86 87 88 89 90 91 92 93 94 95
    96 97 98 99 100 101 102 103 104 105 106 107 108 109 110 111 112 113 114 115 116 117 118 119 120 121 122 123 124 125 126 127);

/// Exchanges the method behind a method descriptor or a builtin function. False when it is neither, or another way of
/// calling than the known ones is needed, or it was exchanged before.
pub fn exchange(layout: &Layout, callable: Obj, handler: Handler) -> bool {
    let Some(def) = definition(layout, callable) else { return false };
    let taken = EXCHANGED.load(Ordering::Relaxed);
    if EXCHANGES[..taken.min(MOST)].iter().any(|other| other.def.load(Ordering::Relaxed) == def as usize) {
        return false;
    }
    let Some(Functions(choice)) = functions(taken) else { return false };
    // SAFETY: `def` is the live definition of a method of the interpreter; its table is writable data, and the new
    // function has the same convention. The store of the function is one word.
    unsafe {
        let flags = (*def).flags & (METH_VARARGS | METH_KEYWORDS | METH_NOARGS | METH_O | METH_FASTCALL | METH_METHOD);
        const VARARGS_KEYWORDS: i32 = METH_VARARGS | METH_KEYWORDS;
        const FAST_KEYWORDS: i32 = METH_FASTCALL | METH_KEYWORDS;
        const FAST_METHOD: i32 = METH_METHOD | FAST_KEYWORDS;
        let function = match flags {
            METH_NOARGS => choice[0],
            METH_O => choice[1],
            METH_VARARGS => choice[2],
            VARARGS_KEYWORDS => choice[3],
            METH_FASTCALL => choice[4],
            FAST_KEYWORDS => choice[5],
            FAST_METHOD => choice[6],
            _ => return false,
        };
        let exchange = &EXCHANGES[taken];
        exchange.original.store((*def).function as usize, Ordering::Relaxed);
        exchange.handler.store(handler as usize, Ordering::Relaxed);
        exchange.def.store(def as usize, Ordering::Relaxed);
        exchange.ours.store(function, Ordering::Relaxed);
        EXCHANGED.store(taken + 1, Ordering::Relaxed);
        (&raw mut (*def).function).cast::<AtomicUsize>().as_ref().inspect(|word| word.store(function, Ordering::Release));
    }
    true
}

/// Puts everything exchanged back, unless somebody has exchanged it since.
pub fn undo(layout: &Layout) {
    undo_words();
    dealloc::undo(layout);
    for exchange in EXCHANGES.iter().take(EXCHANGED.load(Ordering::Relaxed)) {
        let def = exchange.def.load(Ordering::Relaxed) as *mut MethodDef;
        let (ours, original) = (exchange.ours.load(Ordering::Relaxed), exchange.original.load(Ordering::Relaxed));
        // SAFETY: the definition is static data of the interpreter; a store of one word.
        if let Some(word) = unsafe { (&raw mut (*def).function).cast::<AtomicUsize>().as_ref() } {
            let _ = word.compare_exchange(ours, original, Ordering::AcqRel, Ordering::Relaxed);
        }
    }
}

fn definition(layout: &Layout, callable: Obj) -> Option<*mut MethodDef> {
    if callable.is_null() {
        return None;
    }
    let kind = layout.type_of(callable);
    // SAFETY: a builtin's definition follows its header, a descriptor's comes after type, name and qualified name.
    let def: *mut MethodDef = unsafe {
        if kind == object!(PyCFunction_Type) {
            field(callable, layout.header)
        } else if kind == object!(PyMethodDescr_Type) {
            field(callable, layout.header + 24)
        } else {
            return None;
        }
    };
    (!def.is_null()).then_some(def)
}

/// A loaded module, borrowed; null when it is not loaded.
pub fn loaded(name: &CStr) -> Obj {
    // SAFETY: the dict of modules with a str key; the result is borrowed.
    unsafe { ffi::PyDict_GetItemString(ffi::PyImport_GetModuleDict(), name.as_ptr()) }
}

fn has_member(module: Obj, name: &CStr) -> bool {
    if module.is_null() {
        return false;
    }
    // SAFETY: gives the dict of a module, or null with an exception for what is none; the item is borrowed.
    unsafe {
        let dict = ffi::PyModule_GetDict(module);
        if dict.is_null() {
            ffi::PyErr_Clear();
            return false;
        }
        !ffi::PyDict_GetItemString(dict, name.as_ptr()).is_null()
    }
}

/// An attribute of a module (a new reference that is kept for good), or null.
pub fn of(object: Obj, name: &CStr) -> Obj {
    if object.is_null() {
        return object;
    }
    // SAFETY: an attribute look-up; its failure is cleared.
    unsafe {
        let value = ffi::PyObject_GetAttrString(object, name.as_ptr());
        if value.is_null() {
            ffi::PyErr_Clear();
        }
        value
    }
}

/// What is to be known of an attribute, which is there for no longer than it is read.
pub fn attribute<T>(object: Obj, name: &CStr, read: impl FnOnce(Obj) -> Option<T>) -> Option<T> {
    let value = of(object, name);
    if value.is_null() {
        return None;
    }
    let result = read(value);
    // SAFETY: the reference that `of` took.
    unsafe { ffi::Py_DecRef(value) };
    result
}

/// Exchanges some methods of a type or functions of a module; those that there are.
pub fn exchange_all(layout: &Layout, owner: Obj, names: &[&CStr], handler: Handler) {
    for name in names {
        exchange(layout, of(owner, name), handler);
    }
}

/// Exchanges a word-sized slot of a type that stays, once `original` has what was there.
pub fn exchange_slot(layout: &Layout, class: Obj, slot: usize, function: usize, original: &AtomicUsize) {
    if !class.is_null() {
        // SAFETY: `class` is a type object, `slot` a function slot of it, `function` of the slot's type.
        unsafe { exchange_word(layout.slot_of(class, slot), function, original) }
    }
}

/// # Safety
/// At `word` is a function that the interpreter calls, of the same type as the new one, for as long as there is one.
pub unsafe fn exchange_word(word: *mut usize, function: usize, original: &AtomicUsize) {
    // SAFETY: said by the caller; a word-sized store is atomic on the supported processors.
    let place = unsafe { AtomicUsize::from_ptr(word) };
    let before = place.load(Ordering::Relaxed);
    let free = WORDS.iter().find(|kept| kept.at.load(Ordering::Relaxed) == 0);
    let Some(kept) = free.filter(|_| before != 0 && before != function) else { return };
    kept.ours.store(function, Ordering::Relaxed);
    kept.original.store(before, Ordering::Relaxed);
    kept.at.store(word as usize, Ordering::Relaxed);
    original.store(before, Ordering::Relaxed);
    place.store(function, Ordering::Release);
}

/// An exchanged word: where it is, and what it was.
struct Word {
    at: AtomicUsize,
    ours: AtomicUsize,
    original: AtomicUsize,
}

/// More than there are.
static WORDS: [Word; 8] =
    [const { Word { at: AtomicUsize::new(0), ours: AtomicUsize::new(0), original: AtomicUsize::new(0) } }; 8];

fn undo_words() {
    for kept in WORDS.iter().filter(|kept| kept.at.load(Ordering::Relaxed) != 0) {
        // SAFETY: a word of a type that stays.
        let place = unsafe { AtomicUsize::from_ptr(kept.at.load(Ordering::Relaxed) as *mut usize) };
        let (ours, original) = (kept.ours.load(Ordering::Relaxed), kept.original.load(Ordering::Relaxed));
        let _ = place.compare_exchange(ours, original, Ordering::AcqRel, Ordering::Relaxed);
    }
}

/// Hooks what is there from the start.
pub fn start(layout: &Layout) {
    // SAFETY: imports a builtin module.
    let modules = unsafe { ffi::PyImport_ImportModule(c"_imp".as_ptr()) };
    exchange_all(layout, modules, &[c"exec_dynamic", c"exec_builtin"], module_is_made);
    locks::start(layout);
    threads::start(layout);
    files::start(layout);
    family::start(layout);
}

/// A module written in C is complete from here on.
fn module_is_made(call: &Call) -> Obj {
    let result = call.go_on();
    if !result.is_null()
        && let Some(fixed) = crate::state::fixed()
    {
        crate::thread::outermost(|| look_again(&fixed.layout));
    }
    result
}

/// Hooks modules that have been loaded since. Called whenever one is made, and when new code is seen.
pub fn look_again(layout: &Layout) {
    static QUEUES: AtomicUsize = AtomicUsize::new(0);
    static ASYNCIO: AtomicUsize = AtomicUsize::new(0);
    static FCNTL: AtomicUsize = AtomicUsize::new(0);
    static COVERAGE: AtomicUsize = AtomicUsize::new(0);
    static SOCKET: AtomicUsize = AtomicUsize::new(0);
    static SEMAPHORES: AtomicUsize = AtomicUsize::new(0);
    static SELECT: AtomicUsize = AtomicUsize::new(0);
    // A module that is being imported is there before what it holds: its last member of interest says that all are.
    for (name, member, done, start) in [
        (c"_queue", c"SimpleQueue", &QUEUES, queues::start as fn(&Layout, Obj)),
        (c"_asyncio", c"Task", &ASYNCIO, asyncio::start),
        (c"fcntl", c"lockf", &FCNTL, files::start_locks),
        (c"select", c"epoll", &SELECT, waiting::start),
        (c"_socket", c"socket", &SOCKET, family::start_sockets),
        (c"_multiprocessing", c"SemLock", &SEMAPHORES, semaphores::start),
        (c"coverage.tracer", c"CTracer", &COVERAGE, crate::trace::start_beside_coverage),
    ] {
        if done.load(Ordering::Relaxed) == 0 {
            let module = loaded(name);
            if has_member(module, member) && done.swap(1, Ordering::Relaxed) == 0 {
                start(layout, module);
            }
        }
    }
}
