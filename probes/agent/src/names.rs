//! Texts and keys: interned here, defined once to the ring. It knows nothing of code or of objects with an identity.

use racetrace_probes::wire::{Kind, is_name, value};

use crate::ffi::{self, Obj, field};
use crate::layout::{Layout, type_flag, type_slot};
use crate::ring;
use crate::table::{Table, mix, mix2};
use crate::{object, thread};

const TEXTS: usize = 1 << 16;
const KEYS: usize = 1 << 17;
const TYPES: usize = 64;
/// Longer texts are cut: they are names and labels.
const LONGEST: usize = 4096;
const LONGEST_LABEL: usize = 60;
const DEEPEST_TUPLE: u32 = 3;

pub struct Names {
    texts: Table,
    keys: Table,
    next: u32,
    /// Types whose names were asked for not long ago, by address.
    types: [(usize, u32); TYPES],
    /// Counts how often the definitions of keys were forgotten, or their cells in `recent` dealt out anew.
    pub era: u32,
}

/// What kind of thing a key names; keys of different kinds never meet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// A variable or attribute.
    Name,
    Item,
}

impl Names {
    pub fn new() -> Names {
        Names { texts: Table::new(TEXTS), keys: Table::new(KEYS), next: 1, types: [(0, 0); TYPES], era: 1 }
    }

    pub fn clear(&mut self) {
        self.era += 1;
        self.types = [(0, 0); TYPES];
        self.texts.clear();
        self.keys.clear();
    }

    /// The id of a text, defined to the ring the first time. When too many are known, all are forgotten and defined anew.
    pub fn text(&mut self, text: &str) -> u32 {
        let text = cut(text, LONGEST);
        let hash = hash_bytes(text.as_bytes());
        if let Some(id) = self.texts.get(hash) {
            return id as u32;
        }
        let id = self.next;
        self.next += 1;
        if !self.texts.set(hash, u64::from(id)) {
            self.texts.clear();
            self.texts.set(hash, u64::from(id));
        }
        define(id, text);
        id
    }

    /// The id of a text that will not come again.
    pub fn text_once(&mut self, text: &str) -> u32 {
        let id = self.next;
        self.next += 1;
        define(id, cut(text, LONGEST));
        id
    }

    /// Defines the key with that id to the ring, unless it is known.
    #[inline]
    pub fn define(&mut self, layout: &Layout, id: u64, object: Obj, kind: KeyKind) {
        if self.keys.get(id).is_none() {
            self.define_key(layout, id, object, kind);
        }
    }

    #[cold]
    fn define_key(&mut self, layout: &Layout, id: u64, object: Obj, kind: KeyKind) {
        let label = match kind {
            KeyKind::Name => utf8(object).unwrap_or("?").to_owned(),
            KeyKind::Item => label(layout, object, DEEPEST_TUPLE),
        };
        let word = if is_name(&label) { self.text(&label) } else { self.text_once(&label) };
        if !self.keys.set(id, 1) {
            self.era += 1;
            self.keys.clear();
            self.keys.set(id, 1);
        }
        let mut slot = ring::slot(Kind::Key, thread::tid());
        slot.a = id;
        slot.word = word;
        ring::push(slot);
    }

    /// A value as `short`, `word`, `c` of an access record.
    #[inline]
    pub fn value(&mut self, layout: &Layout, object: Obj) -> (u16, u32, u64) {
        if object.is_null() {
            return (value::UNKNOWN, 0, 0);
        }
        let class = layout.type_of(object);
        if class == object!(PyLong_Type) {
            return match small_int(layout, object) {
                Some(number) => (value::INT, 0, number as u64),
                None => (value::UNKNOWN, 0, 0),
            };
        }
        if object == object!(_Py_NoneStruct) {
            return (value::NONE, 0, 0);
        }
        if class == object!(PyBool_Type) {
            return (value::BOOL, 0, u64::from(object == object!(_Py_TrueStruct)));
        }
        if class == object!(PyFloat_Type) {
            // SAFETY: a float's value follows its header.
            return (value::FLOAT, 0, unsafe { field::<u64>(object, layout.header) });
        }
        (value::OBJECT, self.type_name(layout, class), object as u64)
    }

    /// The id of a type's qualified name without its module.
    #[inline]
    pub fn type_name(&mut self, layout: &Layout, class: Obj) -> u32 {
        let place = (class as usize >> 4 ^ class as usize >> 12) % TYPES;
        match self.types[place] {
            (known, id) if known == class as usize => id,
            _ => self.type_name_anew(layout, class, place),
        }
    }

    #[cold]
    fn type_name_anew(&mut self, layout: &Layout, class: Obj, place: usize) -> u32 {
        let id = self.text(type_name(layout, class));
        // SAFETY: reads the flags of a type object.
        let is_heap = unsafe { layout.slot::<u64>(class, type_slot::FLAGS) } & type_flag::HEAPTYPE != 0;
        // Other types may be freed, and their places taken by types of other names.
        if !is_heap || crate::objects::is_kept(class) {
            self.types[place] = (class as usize, id);
        }
        id
    }
}

fn define(id: u32, text: &str) {
    let mut slot = ring::slot(Kind::Text, thread::tid());
    slot.word = id;
    ring::push_blob(slot, text.as_bytes());
}

/// `tp_name`'s last part.
pub fn type_name(layout: &Layout, class: Obj) -> &'static str {
    // SAFETY: tp_name is a NUL-terminated text that lives as long as the type.
    let name = unsafe { std::ffi::CStr::from_ptr(layout.slot(class, type_slot::NAME)) };
    let name = name.to_str().unwrap_or("?");
    // SAFETY: reads the flags of a type object.
    let heap = unsafe { layout.slot::<u64>(class, type_slot::FLAGS) } & type_flag::HEAPTYPE != 0;
    if heap { name } else { name.rsplit('.').next().unwrap_or(name) }
}

pub fn utf8(object: Obj) -> Option<&'static str> {
    if object.is_null() {
        return None;
    }
    let mut size = 0isize;
    // SAFETY: `object` is any object: the function checks that it is a str; the text lives as long as the object, and
    // is only used before the caller gives up control.
    unsafe {
        let text = ffi::PyUnicode_AsUTF8AndSize(object, &raw mut size);
        if text.is_null() {
            ffi::PyErr_Clear();
            return None;
        }
        std::str::from_utf8(std::slice::from_raw_parts(text.cast(), size as usize)).ok()
    }
}

/// The value of an object that is an `int`, and no subclass of it, and fits in one or two digits. `value` may be null.
pub fn int(layout: &Layout, value: Obj) -> Option<i64> {
    (!value.is_null() && layout.type_of(value) == object!(PyLong_Type)).then(|| small_int(layout, value)).flatten()
}

/// An int's value where it fits in one or two digits.
#[inline]
pub fn small_int(layout: &Layout, object: Obj) -> Option<i64> {
    let header = layout.header;
    // SAFETY: `object` is an int: size or tag, then 30-bit digits.
    unsafe {
        let (count, negative) = if layout.minor >= 12 {
            let tag = field::<usize>(object, header);
            (tag >> 3, tag & 3 == 2)
        } else {
            let size = field::<isize>(object, header);
            (size.unsigned_abs(), size < 0)
        };
        let digit = |index: usize| i64::from(field::<u32>(object, header + 8 + 4 * index));
        let value = match count {
            0 => 0,
            1 => digit(0),
            2 => digit(0) | digit(1) << 30,
            _ => return None,
        };
        Some(if negative { -value } else { value })
    }
}

/// The key that an object is when it is used as the name of an attribute or the key of an item: the same for equal ones,
/// never 0.
#[inline]
pub fn key_id(layout: &Layout, object: Obj, kind: KeyKind) -> u64 {
    let id = key_hash(layout, object, DEEPEST_TUPLE) ^ if kind == KeyKind::Name { 0 } else { 0x5851_f42d_4c95_7f2d };
    if id == 0 { 1 } else { id }
}

#[inline]
fn key_hash(layout: &Layout, object: Obj, depth: u32) -> u64 {
    let class = layout.type_of(object);
    if class == object!(PyUnicode_Type) {
        // SAFETY: a str's hash follows its length; -1 means not computed yet, and computing it runs no Python code.
        unsafe {
            let hash = field::<i64>(object, layout.header + 8);
            let hash = if hash == -1 { ffi::PyObject_Hash(object) as i64 } else { hash };
            return mix2(hash as u64, 1);
        }
    }
    if (class == object!(PyLong_Type) || class == object!(PyBool_Type))
        && let Some(number) = small_int(layout, object)
    {
        return mix2(number as u64, 2);
    }
    if class == object!(PyFloat_Type) || class == object!(PyBytes_Type) || class == object!(PyLong_Type) {
        // SAFETY: hashing a float, bytes or int runs no Python code and cannot fail.
        return mix2(unsafe { ffi::PyObject_Hash(object) } as u64, 2);
    }
    if class == object!(PyTuple_Type) && depth > 0 {
        // SAFETY: `object` is a tuple; indexes are below its size.
        unsafe {
            let size = ffi::PyTuple_Size(object).clamp(0, 8);
            return (0..size).fold(mix2(size as u64, 3), |hash, index| {
                mix2(hash, key_hash(layout, ffi::PyTuple_GetItem(object, index), depth - 1))
            });
        }
    }
    mix2(object as u64, 4)
}

fn label(layout: &Layout, object: Obj, depth: u32) -> String {
    let class = layout.type_of(object);
    if class == object!(PyUnicode_Type) {
        return format!("'{}'", cut(utf8(object).unwrap_or("?"), LONGEST_LABEL));
    }
    if class == object!(PyBool_Type) {
        return if object == object!(_Py_TrueStruct) { "True" } else { "False" }.to_owned();
    }
    if class == object!(PyLong_Type) {
        return small_int(layout, object).map_or_else(|| "int".to_owned(), |number| number.to_string());
    }
    if object == object!(_Py_NoneStruct) {
        return "None".to_owned();
    }
    if class == object!(PyTuple_Type) && depth > 0 {
        // SAFETY: `object` is a tuple; indexes are below its size.
        let items: Vec<String> = unsafe {
            (0..ffi::PyTuple_Size(object).clamp(0, 8))
                .map(|index| label(layout, ffi::PyTuple_GetItem(object, index), depth - 1))
                .collect()
        };
        let comma = if items.len() == 1 { "," } else { "" };
        return format!("({}{comma})", items.join(", "));
    }
    type_name(layout, class).to_owned()
}

fn cut(text: &str, longest: usize) -> &str {
    if text.len() <= longest {
        return text;
    }
    let end = (0..=longest).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    &text[..end]
}

/// FNV-1a, spread; never 0.
pub fn hash_bytes(bytes: &[u8]) -> u64 {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    mix(hash ^ bytes.len() as u64) | 1
}
