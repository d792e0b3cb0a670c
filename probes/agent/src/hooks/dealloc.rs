//! The ends of objects' lifetimes. A type's own destructor is exchanged for one of ours that notes the end first.
//!
//! Types with a destructor of their own (builtin and extension types) get another `tp_dealloc`; classes made in Python
//! share `subtype_dealloc`, by which the interpreter recognises them, so they get another `tp_free`.

use std::collections::HashSet;
use std::ffi::c_void;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::ffi::{self, Obj};
use crate::hooks::of;
use crate::layout::{Layout, type_flag, type_slot};
use crate::objects::ended;
use crate::state;
use crate::{interpreters, object, table::Table};

type Destructor = unsafe extern "C-unwind" fn(Obj);
type Free = unsafe extern "C-unwind" fn(*mut c_void);

/// Builtin types whose objects come and go often: each has a hook with its own place for the original.
macro_rules! frequent {
    ($($hook:ident $original:ident $type:ident,)*) => {
        $(
            static $original: AtomicUsize = AtomicUsize::new(0);
            unsafe extern "C-unwind" fn $hook(object: Obj) {
                ended(object);
                // SAFETY: set before the hook was put in place; has the signature of a destructor.
                let original: Destructor = unsafe { std::mem::transmute($original.load(Ordering::Relaxed)) };
                // SAFETY: the destructor that the interpreter would have called, with the same argument.
                unsafe { original(object) }
            }
        )*
        fn frequent(class: Obj) -> Option<(Destructor, &'static AtomicUsize)> {
            $(if class == object!($type) { return Some(($hook, &$original)); })*
            None
        }
        /// What one of these hooks stands for.
        fn behind(hook: usize) -> Option<usize> {
            $(if hook == $hook as *const () as usize { return Some($original.load(Ordering::Relaxed)); })*
            None
        }
    };
}

frequent! {
    dict_ended DICT PyDict_Type,
    list_ended LIST PyList_Type,
    set_ended SET PySet_Type,
    cell_ended CELL PyCell_Type,
    coroutine_ended COROUTINE PyCoro_Type,
}

/// Makes the ends of the type's instances known. False when that is not possible.
pub fn hook(layout: &Layout, class: Obj) -> bool {
    // SAFETY: `class` is a type object; slots are words that are read and written whole.
    unsafe {
        let destructor: usize = layout.slot(class, type_slot::DEALLOC);
        if let Some((hook, original)) = frequent(class) {
            if destructor != hook as *const () as usize {
                original.store(destructor, Ordering::Relaxed);
                set(layout, class, type_slot::DEALLOC, hook as *const () as usize);
            }
            return true;
        }
        if destructor == subtype_destructor(layout) {
            let free: usize = layout.slot(class, type_slot::FREE);
            if free != instance_freed as *const () as usize {
                remember(class, free);
                set(layout, class, type_slot::FREE, instance_freed as *const () as usize);
            }
            return true;
        }
        if destructor != other_ended as *const () as usize {
            if is_shared(class, layout) && !share(class, destructor) {
                return false;
            }
            remember(class, destructor);
            set(layout, class, type_slot::DEALLOC, other_ended as *const () as usize);
        }
        true
    }
}

/// Writes a type slot.
///
/// # Safety
/// `class` is a type object and `value` fits the slot.
pub unsafe fn set(layout: &Layout, class: Obj, slot: usize, value: usize) {
    // SAFETY: type objects are writable; a word-sized store is atomic on the supported processors.
    unsafe { AtomicUsize::from_ptr(layout.slot_of(class, slot)) }.store(value, Ordering::Release);
}

/// Originals of the less frequent types, by type.
struct Originals(std::cell::UnsafeCell<Option<Table>>);
// SAFETY: only touched inside the gate.
unsafe impl Sync for Originals {}
static ORIGINALS: Originals = Originals(std::cell::UnsafeCell::new(None));

/// Those of types that all interpreters of the process share, for where the gate is not to be used: written once each,
/// type last.
static SHARED: [(AtomicUsize, AtomicUsize); SHARED_MOST] = [const { (AtomicUsize::new(0), AtomicUsize::new(0)) }; SHARED_MOST];
const SHARED_MOST: usize = 64;

fn is_shared(class: Obj, layout: &Layout) -> bool {
    // SAFETY: reads the flags of a type object.
    unsafe { layout.slot::<u64>(class, type_slot::FLAGS) & type_flag::HEAPTYPE == 0 }
}

/// False when there is no room left.
fn share(class: Obj, original: usize) -> bool {
    let free = SHARED.iter().find(|(taken, _)| taken.load(Ordering::Relaxed) == 0);
    free.is_some_and(|(taken, kept)| {
        kept.store(original, Ordering::Relaxed);
        taken.store(class as usize, Ordering::Release);
        true
    })
}

fn shared(class: Obj) -> Option<usize> {
    let found = SHARED.iter().find(|(taken, _)| taken.load(Ordering::Acquire) == class as usize);
    found.map(|(_, original)| original.load(Ordering::Relaxed))
}

fn remember(class: Obj, original: usize) {
    state::with(|_, _| {
        // SAFETY: inside the gate.
        let table = unsafe { &mut *ORIGINALS.0.get() }.get_or_insert_with(|| Table::new(1 << 14));
        table.set(class as u64, original as u64);
    });
}

fn original(class: Obj) -> Option<usize> {
    if interpreters::is_other() {
        return shared(class);
    }
    // SAFETY: inside the gate.
    let known = state::alone(|| unsafe { &*ORIGINALS.0.get() }.as_ref().and_then(|table| table.get(class as u64))).flatten();
    known.map(|word| word as usize).or_else(|| shared(class))
}

/// That of the type itself or of the one that it got its destructor from.
fn inherited(layout: &Layout, mut class: Obj) -> Option<usize> {
    while !class.is_null() {
        // SAFETY: `class` is a type object.
        let (destructor, base): (usize, Obj) = unsafe { (layout.slot(class, type_slot::DEALLOC), layout.slot(class, 256)) };
        if destructor == other_ended as *const () as usize
            && let Some(original) = original(class)
        {
            return Some(original);
        }
        class = base;
    }
    None
}

/// Gives all types back what was there. Called with the GIL, outside of the gate.
pub fn undo(layout: &Layout) {
    let subclasses = of(object!(PyType_Type), c"__subclasses__");
    let mut classes = vec![object!(PyBaseObject_Type)];
    let (mut seen, mut lists) = (HashSet::new(), Vec::new());
    while let Some(class) = classes.pop() {
        if !seen.insert(class as usize) {
            continue;
        }
        // SAFETY: types that live, for a list holds them; the calls run no Python code.
        unsafe {
            give_back(layout, class);
            let list = ffi::PyObject_CallFunction(subclasses, c"O".as_ptr(), class);
            if list.is_null() {
                ffi::PyErr_Clear();
                continue;
            }
            classes.extend((0..ffi::PyList_Size(list)).map(|index| ffi::PyList_GetItem(list, index)));
            lists.push(list);
        }
    }
    // SAFETY: references that the calls have given.
    lists.into_iter().for_each(|list| unsafe { ffi::Py_DecRef(list) });
}

/// # Safety
/// `class` is a type object.
unsafe fn give_back(layout: &Layout, class: Obj) {
    // SAFETY: said by the caller; what is put there was there.
    unsafe {
        let (destructor, free): (usize, usize) = (layout.slot(class, type_slot::DEALLOC), layout.slot(class, type_slot::FREE));
        let ours = destructor == other_ended as *const () as usize;
        if let Some(original) = if ours { inherited(layout, class) } else { behind(destructor) } {
            set(layout, class, type_slot::DEALLOC, original);
        }
        if free == instance_freed as *const () as usize {
            set(layout, class, type_slot::FREE, original(class).unwrap_or_else(|| default_free(layout, class)));
        }
    }
}

/// The destructor that all classes made in Python have.
fn subtype_destructor(layout: &Layout) -> usize {
    static KNOWN: AtomicUsize = AtomicUsize::new(0);
    let known = KNOWN.load(Ordering::Relaxed);
    if known != 0 {
        return known;
    }
    // Any class made by a class statement will do: `types.SimpleNamespace` is none, `os._wrap_close` is made in Python.
    // SAFETY: looks for an attribute of an imported module; the references are kept.
    let found = unsafe {
        let module = ffi::PyImport_ImportModule(c"os".as_ptr());
        let class = if module.is_null() { module } else { ffi::PyObject_GetAttrString(module, c"_wrap_close".as_ptr()) };
        if class.is_null() {
            ffi::PyErr_Clear();
            return usize::MAX;
        }
        layout.slot::<usize>(class, type_slot::DEALLOC)
    };
    KNOWN.store(found, Ordering::Relaxed);
    found
}

/// `tp_free` of classes made in Python: called with the instance's type still in place.
unsafe extern "C-unwind" fn instance_freed(object: *mut c_void) {
    let object: Obj = object.cast();
    ended(object);
    let Some(fixed) = state::fixed() else { return };
    let class = fixed.layout.type_of(object);
    let free = original(class).unwrap_or_else(|| default_free(&fixed.layout, class));
    // SAFETY: the function that was in this slot of this type.
    unsafe { std::mem::transmute::<usize, Free>(free)(object.cast()) }
}

fn default_free(layout: &Layout, class: Obj) -> usize {
    unsafe extern "C-unwind" {
        fn PyObject_GC_Del(object: *mut c_void);
        fn PyObject_Free(object: *mut c_void);
    }
    const HAVE_GC: u64 = 1 << 14;
    // SAFETY: reads the flags of a type object.
    let flags: u64 = unsafe { layout.slot(class, type_slot::FLAGS) };
    if flags & HAVE_GC != 0 { PyObject_GC_Del as *const () as usize } else { PyObject_Free as *const () as usize }
}

/// `tp_dealloc` of other types; a subclass made in Python comes here through its base.
unsafe extern "C-unwind" fn other_ended(object: Obj) {
    ended(object);
    let Some(fixed) = state::fixed() else { return };
    let layout = &fixed.layout;
    if let Some(original) = inherited(layout, layout.type_of(object)) {
        // SAFETY: the function that was in this slot of this type.
        unsafe { std::mem::transmute::<usize, Destructor>(original)(object) }
    }
}
