//! Identities: an id for each lifetime of each object that is a subject, and what kind of subject a type makes.
//!
//! Ends of lifetimes come from the types' own destructors (see `hooks::dealloc`), so an address that is used again gets
//! another id. The agent holds no references to the program's objects.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use racetrace_probes::wire::{Kind, shape};

use crate::ffi::{self, Obj};
use crate::hooks::{dealloc, locks};
use crate::layout::{Layout, type_flag, type_slot};
use crate::names::{self, Names};
use crate::table::{Table, mix2};
use crate::{codes, interpreters, object, ring, state, thread};

const OBJECTS: usize = 1 << 18;
const TYPES: usize = 1 << 14;
const ERAS: usize = 1 << 12;
/// Marks the ids of iterators in the table.
const ITERATOR: u64 = 1 << 63;

/// How many live subjects hash to each place: lets destructors of other objects pass without the gate.
static PRESENT: [AtomicU8; 1 << 16] = [const { AtomicU8::new(0) }; 1 << 16];

pub struct Objects {
    ids: Table,
    types: Table,
    next: u64,
    /// Count the ends of subjects, by their addresses: in between, what an address is the id of does not change.
    eras: [u64; ERAS],
    /// Subjects that were not followed because the table is full.
    pub missed: u64,
}

/// What matters of a type, packed into a word for the table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TypeInfo {
    pub shape: u8,
    /// Plain attributes: no `__getattribute__`, no `__setattr__` of its own.
    pub plain_attributes: bool,
    /// `threading.local` and the like: every thread sees another one.
    pub per_strand: bool,
    /// The end of its instances can be seen.
    pub mortal: bool,
    /// A `defaultdict`: what is asked for and not there is put there.
    pub reading_adds: bool,
}

impl TypeInfo {
    fn pack(self) -> u64 {
        u64::from(self.shape)
            | u64::from(self.plain_attributes) << 8
            | u64::from(self.per_strand) << 9
            | u64::from(self.mortal) << 10
            | u64::from(self.reading_adds) << 11
    }

    fn unpack(word: u64) -> TypeInfo {
        TypeInfo {
            shape: word as u8,
            plain_attributes: word >> 8 & 1 == 1,
            per_strand: word >> 9 & 1 == 1,
            mortal: word >> 10 & 1 == 1,
            reading_adds: word >> 11 & 1 == 1,
        }
    }
}

/// Tells streams from locks on files of the same number.
const STREAM: u64 = 0x7374_7265_616d;

impl Objects {
    pub fn new() -> Objects {
        Objects { ids: Table::new(OBJECTS), types: Table::new(TYPES), next: 1, eras: [1; ERAS], missed: 0 }
    }

    /// A new process: nothing has been defined to its ring.
    pub fn clear(&mut self) {
        self.eras.iter_mut().for_each(|era| *era += 1);
        self.ids.clear();
        PRESENT.iter().for_each(|count| count.store(0, Ordering::Relaxed));
    }

    /// As long as this does not change, the object at the address is the same one.
    #[inline(always)]
    pub fn era(&self, object: Obj) -> u64 {
        self.eras[place(object) % ERAS]
    }

    #[inline(always)]
    pub fn known(&self, object: Obj) -> Option<u64> {
        self.ids.get(object as u64)
    }

    /// The id of a subject, defined the first time. 0 when there is no room.
    #[inline]
    pub fn id(&mut self, layout: &Layout, names: &mut Names, object: Obj, shape: u8, label: Option<&str>) -> u64 {
        match self.ids.get(object as u64) {
            Some(id) => id,
            None => self.define(layout, names, object, shape, label),
        }
    }

    #[cold]
    fn define(&mut self, layout: &Layout, names: &mut Names, object: Obj, shape: u8, label: Option<&str>) -> u64 {
        let id = self.next;
        if !self.ids.set(object as u64, id) {
            self.missed += 1;
            return 0;
        }
        self.next += 1;
        self.note_presence(object);
        let mut slot = ring::slot(Kind::Object, thread::tid());
        slot.a = id;
        slot.small = shape;
        // A class is named itself, everything else by its class.
        let class = if shape == shape::CLASS { object } else { layout.type_of(object) };
        slot.word = names.type_name(layout, class);
        slot.b = label.map_or(0, |label| u64::from(names.text(label)));
        ring::push(slot);
        id
    }

    /// The id of an object that is not a subject itself, such as a coroutine or an iterator: its end is told as
    /// `IterEnd`, which means nothing for others. 0 when there is no room.
    pub fn identity(&mut self, iterator: Obj) -> u64 {
        if let Some(id) = self.ids.get(iterator as u64) {
            return id & !ITERATOR;
        }
        let id = self.next;
        if !self.ids.set(iterator as u64, id | ITERATOR) {
            self.missed += 1;
            return 0;
        }
        self.next += 1;
        self.note_presence(iterator);
        id
    }

    /// The id of an object as a channel.
    pub fn channel(&mut self, layout: &Layout, names: &mut Names, object: Obj) -> u64 {
        self.id(layout, names, object, shape::OTHER, None) & !ITERATOR
    }

    /// The id of a lock.
    pub fn lock(&mut self, layout: &Layout, names: &mut Names, object: Obj) -> u64 {
        self.id(layout, names, object, shape::LOCK, None) & !ITERATOR
    }

    /// The id of the lock on a file, and whether it is new. Files have no address: an odd word stands for one.
    pub fn file_lock(&mut self, names: &mut Names, inode: u64, path: &str) -> (u64, bool) {
        self.without_address(names, inode | 1, shape::LOCK, ["flock", path])
    }

    /// The id of a pipe or a pair of sockets as a channel.
    pub fn stream(&mut self, names: &mut Names, inode: u64) -> u64 {
        self.without_address(names, mix2(inode, STREAM) | 1, shape::OTHER, ["stream", ""]).0
    }

    fn without_address(&mut self, names: &mut Names, word: u64, shape: u8, [kind, label]: [&str; 2]) -> (u64, bool) {
        if let Some(id) = self.ids.get(word) {
            return (id, false);
        }
        let id = self.next;
        self.next += 1;
        self.ids.set(word, id);
        let mut slot = ring::slot(Kind::Object, thread::tid());
        (slot.a, slot.small) = (id, shape);
        (slot.word, slot.b) = (names.text(kind), u64::from(names.text(label)));
        ring::push(slot);
        (id, true)
    }

    fn note_presence(&self, object: Obj) {
        let count = &PRESENT[place(object)];
        if count.load(Ordering::Relaxed) < u8::MAX {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn end(&mut self, object: Obj) {
        let Some(id) = self.ids.remove(object as u64) else { return };
        self.eras[place(object) % ERAS] += 1;
        let (id, kind) = if id & ITERATOR != 0 { (id & !ITERATOR, Kind::IterEnd) } else { (id, Kind::ObjectEnd) };
        let count = &PRESENT[place(object)];
        if count.load(Ordering::Relaxed) < u8::MAX {
            count.fetch_sub(1, Ordering::Relaxed);
        }
        let mut slot = ring::slot(kind, thread::tid());
        (slot.a, slot.b) = (id, id);
        ring::push(slot);
    }
}

/// Objects lie at multiples of 16; those that are near each other have places of their own.
#[inline(always)]
fn place(object: Obj) -> usize {
    object as usize >> 4 & 0xffff
}

/// The object's memory is about to be given back.
#[inline(always)]
pub fn ended(object: Obj) {
    if PRESENT[place(object)].load(Ordering::Relaxed) != 0 && !interpreters::is_other() {
        state::with(|state, layout| {
            let Some(id) = state.objects.known(object) else { return };
            state.recent.forget(thread::current(), id & !ITERATOR);
            locks::ended(state, object);
            // A task's future is its task object: its end comes first.
            if let Some(task) = state.tasks.remove(object as u64) {
                let thread = thread::current();
                crate::sync::signalled();
                let mut slot = ring::slot(Kind::TaskEnd, thread.tid());
                slot.a = task;
                state.say(layout, thread, slot);
            }
            state.objects.end(object);
            state.iterations.ended(object);
            state.threads.remove(object as u64);
            state.files.remove(object as u64);
            state.inodes.remove(object as u64);
        });
    }
}

/// What matters of a type; looked up once, and its destructor hooked then.
#[inline(always)]
pub fn type_info(layout: &Layout, class: Obj) -> TypeInfo {
    let known = near(class).load(Ordering::Relaxed);
    if known >> NEAR_SHIFT == class as u64 { TypeInfo::unpack(known) } else { type_info_found(layout, class) }
}

#[cold]
fn type_info_found(layout: &Layout, class: Obj) -> TypeInfo {
    let found = match state::with(|state, _| state.objects.types.get(class as u64)) {
        Some(Some(word)) => TypeInfo::unpack(word),
        _ => learn(layout, class),
    };
    near(class).store((class as u64) << NEAR_SHIFT | found.pack(), Ordering::Relaxed);
    found
}

/// Is it sure that the type is not freed?
pub fn is_kept(class: Obj) -> bool {
    near(class).load(Ordering::Relaxed) >> NEAR_SHIFT == class as u64
}

/// Types that were asked for not long ago, each in one word with what matters of it.
static NEAR: [AtomicU64; 256] = [const { AtomicU64::new(0) }; 256];
/// Addresses have 48 bits at most.
const NEAR_SHIFT: u32 = 16;

#[inline(always)]
fn near(class: Obj) -> &'static AtomicU64 {
    &NEAR[(class as usize >> 4 ^ class as usize >> 12) % NEAR.len()]
}

#[cold]
fn learn(layout: &Layout, class: Obj) -> TypeInfo {
    let info = TypeInfo {
        shape: shape_of(layout, class),
        plain_attributes: has_plain_attributes(layout, class),
        per_strand: inherits_from(layout, class, &[("_thread._local", "_thread"), ("_local", "_threading_local")]),
        mortal: dealloc::hook(layout, class),
        reading_adds: names::type_name(layout, class).ends_with("defaultdict"),
    };
    // The type must not go away while its address is a key.
    // SAFETY: `class` is a type object; the reference is kept for good.
    unsafe { ffi::Py_IncRef(class) };
    state::with(|state, _| state.objects.types.set(class as u64, info.pack()));
    info
}

fn shape_of(layout: &Layout, class: Obj) -> u8 {
    // SAFETY: `class` is a type object.
    let flags: u64 = unsafe { layout.slot(class, type_slot::FLAGS) };
    // SAFETY: both are type objects.
    let subtype = |of: Obj| unsafe { ffi::PyType_IsSubtype(class, of) } != 0;
    if flags & type_flag::DICT != 0 {
        shape::DICT
    } else if flags & type_flag::LIST != 0 {
        shape::LIST
    } else if flags & type_flag::TYPE != 0 {
        shape::CLASS
    } else if subtype(object!(PySet_Type)) {
        shape::SET
    } else if subtype(object!(PyModule_Type)) {
        shape::MODULE
    } else if inherits_from(layout, class, &[("collections.deque", "collections")]) {
        shape::DEQUE
    } else if inherits_from(
        layout,
        class,
        &[("Queue", "queue"), ("SimpleQueue", "_queue"), ("_queue.SimpleQueue", "_queue"), ("Queue", "asyncio.queues")],
    ) {
        shape::QUEUE
    } else if flags & (type_flag::LONG | type_flag::TUPLE | type_flag::UNICODE) != 0 || subtype(object!(PyFrozenSet_Type)) {
        shape::OTHER
    } else if subtype(object!(PyByteArray_Type)) || inherits_from(layout, class, ARRAYS) {
        shape::ARRAY
    } else if is_foreign_mapping(layout, class) {
        shape::MAPPING
    } else {
        shape::INSTANCE
    }
}

/// Numbers side by side, whose items are stored by the type's own code.
const ARRAYS: &[(&str, &str)] =
    &[("array.array", "array"), ("memoryview", "builtins"), ("mmap.mmap", "mmap"), ("numpy.ndarray", "numpy")];

/// A mapping whose items are not stored by code of the user's, which would be watched itself.
fn is_foreign_mapping(layout: &Layout, class: Obj) -> bool {
    if !inherits_from(layout, class, &[("MutableMapping", "collections.abc")]) {
        return false;
    }
    // SAFETY: `class` is a type; the result is borrowed, and lives as long as the type.
    let store = unsafe { ffi::_PyType_Lookup(class, interned(c"__setitem__")) };
    state::fixed().is_some_and(|fixed| !codes::is_by_user(fixed, store))
}

fn has_plain_attributes(layout: &Layout, class: Obj) -> bool {
    // SAFETY: reads slots of type objects.
    unsafe {
        let set: usize = layout.slot(class, type_slot::SETATTRO);
        let flags: u64 = layout.slot(class, type_slot::FLAGS);
        if flags & type_flag::TYPE != 0 {
            return set == layout.slot::<usize>(object!(PyType_Type), type_slot::SETATTRO);
        }
        if set != ffi::PyObject_GenericSetAttr as *const () as usize {
            return false;
        }
        // A `__getattr__` is only asked when there is no such attribute; a `__getattribute__` of the class's own is not plain.
        let get: usize = layout.slot(class, type_slot::GETATTRO);
        let name = interned(c"__getattribute__");
        get == ffi::PyObject_GenericGetAttr as *const () as usize
            || ffi::_PyType_Lookup(class, name) == ffi::_PyType_Lookup(base_object_type(), name)
    }
}

fn base_object_type() -> Obj {
    // SAFETY: PyBaseObject_Type is exported by every version.
    unsafe extern "C-unwind" {
        static mut PyBaseObject_Type: u8;
    }
    &raw mut PyBaseObject_Type
}

/// An interned str that lives for ever.
fn interned(text: &std::ffi::CStr) -> Obj {
    unsafe extern "C-unwind" {
        fn PyUnicode_InternFromString(text: *const std::ffi::c_char) -> Obj;
    }
    // SAFETY: takes a NUL-terminated text.
    unsafe { PyUnicode_InternFromString(text.as_ptr()) }
}

/// Does the type inherit from one with that `tp_name` (last part counts for heap types) and `__module__`?
fn inherits_from(layout: &Layout, class: Obj, wanted: &[(&str, &str)]) -> bool {
    let mut base = class;
    for _ in 0..64 {
        if base.is_null() {
            return false;
        }
        // SAFETY: `base` is a type object; tp_name is NUL-terminated.
        let name = unsafe { std::ffi::CStr::from_ptr(layout.slot(base, type_slot::NAME)) }.to_str().unwrap_or("");
        for (type_name, module) in wanted {
            if name == *type_name && (name.contains('.') || module_of(base).as_deref() == Some(*module)) {
                return true;
            }
        }
        // SAFETY: tp_base of a type object.
        base = unsafe { layout.slot(base, 256) };
    }
    false
}

pub fn module_of(class: Obj) -> Option<String> {
    // SAFETY: looks a name up in the type and its bases; the result is borrowed.
    let module = unsafe { ffi::_PyType_Lookup(class, interned(c"__module__")) };
    names::utf8(module).map(str::to_owned)
}
