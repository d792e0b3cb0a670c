//! Objects: their types, and the values of those small enough to show. It follows no references but the type's.

use std::rc::Rc;

use crate::target::address::RemoteAddr;
use crate::target::memory::{Fault, Memory};

use super::python::{Python, half_at, word_at};

/// What is needed of a type object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeInfo {
    pub at: RemoteAddr,
    /// `tp_name`: with its module for types made in C, bare for classes.
    pub name: String,
    pub flags: u64,
    pub basicsize: u64,
    pub dictoffset: i64,
}

/// `Py_TPFLAGS_*` of object.h.
pub mod flags {
    pub const INLINE_VALUES: u64 = 1 << 2;
    pub const MANAGED_DICT: u64 = 1 << 4;
    pub const HEAP: u64 = 1 << 9;
    pub const INT: u64 = 1 << 24;
    pub const LIST: u64 = 1 << 25;
    pub const TUPLE: u64 = 1 << 26;
    pub const BYTES: u64 = 1 << 27;
    pub const TEXT: u64 = 1 << 28;
    pub const DICT: u64 = 1 << 29;
    pub const TYPE: u64 = 1 << 31;
}

impl TypeInfo {
    pub fn has(&self, flag: u64) -> bool {
        self.flags & flag != 0
    }

    /// The builtin type of this name itself, not a class that happens to share it.
    pub fn is_builtin(&self, name: &str) -> bool {
        self.name == name && !self.has(flags::HEAP)
    }
}

/// A value as far as it can be shown.
#[derive(Debug, Clone, PartialEq)]
pub enum Shown {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// Anything else: the name of its type.
    Object(String),
}

const LONGEST_TEXT: u64 = 1 << 16;
const LONGEST_TUPLE: u64 = 1 << 16;
const LONGEST_BYTES: u64 = 4 << 20;

impl<M: Memory> Python<M> {
    /// The type of the object at `object`.
    ///
    /// # Errors
    /// When either cannot be read, or what is there cannot be a type.
    pub fn type_of(&self, object: RemoteAddr) -> Result<Rc<TypeInfo>, Fault> {
        self.type_info(self.memory.pointer(object.plus(self.layout.object.r#type))?)
    }

    /// # Errors
    /// As [`Python::type_of`].
    pub fn type_info(&self, at: RemoteAddr) -> Result<Rc<TypeInfo>, Fault> {
        if let Some(known) = self.types.borrow().get(&at) {
            return Ok(Rc::clone(known));
        }
        let layout = &self.layout.r#type;
        let bytes = self.memory.bytes(at, usize::try_from(layout.dictoffset).unwrap_or(0) + 8)?;
        let name = self.memory.c_string(RemoteAddr(word_at(&bytes, layout.name)), 256)?;
        let info = Rc::new(TypeInfo {
            at,
            name,
            flags: word_at(&bytes, layout.flags),
            basicsize: word_at(&bytes, layout.basicsize),
            dictoffset: word_at(&bytes, layout.dictoffset).cast_signed(),
        });
        let mut types = self.types.borrow_mut();
        if types.len() >= MOST_TYPES {
            types.clear();
        }
        types.insert(at, Rc::clone(&info));
        Ok(info)
    }

    /// Forgets the types that were seen: classes can go away, and their places be used again.
    pub fn forget_types(&self) {
        self.types.borrow_mut().clear();
        self.keys.borrow_mut().clear();
    }

    /// # Errors
    /// When it is no string, or cannot be read.
    pub fn text(&self, object: RemoteAddr) -> Result<String, Fault> {
        let bad = Fault::Unreadable(object);
        if object.is_null() || !self.type_of(object)?.has(flags::TEXT) {
            return Err(bad);
        }
        let layout = &self.layout.text;
        let header = self.memory.bytes(object, usize::try_from(layout.compact).unwrap_or(0))?;
        let length = word_at(&header, layout.length);
        let state = half_at(&header, layout.state);
        // {interned: 2, kind: 3, compact: 1, ascii: 1} in all versions up to 3.13; 3.14 gives `interned` 16 bits on
        // free-threaded builds only.
        let (kind, compact, ascii) = ((state >> 2) & 7, (state >> 5) & 1, (state >> 6) & 1);
        if compact == 0 || length > LONGEST_TEXT {
            return Err(bad);
        }
        let data = object.plus(if ascii == 1 { layout.ascii } else { layout.compact });
        let bytes = self.memory.bytes(data, usize::try_from(length * u64::from(kind)).map_err(|_| bad)?)?;
        Ok(match kind {
            1 => bytes.iter().map(|&byte| char::from(byte)).collect(),
            2 => {
                let units: Vec<u16> = bytes.as_chunks().0.iter().map(|&pair| u16::from_ne_bytes(pair)).collect();
                String::from_utf16_lossy(&units)
            }
            4 => bytes.as_chunks().0.iter().filter_map(|&four| char::from_u32(u32::from_ne_bytes(four))).collect(),
            _ => return Err(bad),
        })
    }

    /// The items of a tuple.
    ///
    /// # Errors
    /// When it is no tuple, or cannot be read.
    pub fn tuple(&self, object: RemoteAddr) -> Result<Vec<RemoteAddr>, Fault> {
        if object.is_null() || !self.type_of(object)?.has(flags::TUPLE) {
            return Err(Fault::Unreadable(object));
        }
        let count = self.memory.u64(object.plus(self.layout.object.size))?;
        if count > LONGEST_TUPLE {
            return Err(Fault::Unreadable(object));
        }
        self.pointers(object.plus(self.layout.tuple.items), count)
    }

    /// `count` pointers in a row.
    pub(super) fn pointers(&self, at: RemoteAddr, count: u64) -> Result<Vec<RemoteAddr>, Fault> {
        let len = usize::try_from(count.saturating_mul(8)).map_err(|_| Fault::Unreadable(at))?;
        let bytes = self.memory.bytes(at, len)?;
        Ok(bytes.as_chunks().0.iter().map(|&word| RemoteAddr(u64::from_ne_bytes(word))).collect())
    }

    /// The contents of a bytes object.
    ///
    /// # Errors
    /// When it is none, or cannot be read.
    pub fn byte_string(&self, object: RemoteAddr) -> Result<Vec<u8>, Fault> {
        let bad = Fault::Unreadable(object);
        if object.is_null() || !self.type_of(object)?.has(flags::BYTES) {
            return Err(bad);
        }
        let count = self.memory.u64(object.plus(self.layout.object.size))?;
        if count > LONGEST_BYTES {
            return Err(bad);
        }
        self.memory.bytes(object.plus(self.layout.bytes.data), usize::try_from(count).map_err(|_| bad)?)
    }

    /// An integer that fits into two digits of 30 bits.
    ///
    /// # Errors
    /// When it is none, is larger, or cannot be read.
    pub fn int(&self, object: RemoteAddr) -> Result<i64, Fault> {
        if !self.type_of(object)?.has(flags::INT) {
            return Err(Fault::Unreadable(object));
        }
        let layout = &self.layout.int;
        let size = self.memory.u64(object.plus(layout.size))?;
        let (digits, negative) =
            if layout.tagged { (size >> 3, size & 3 == 2) } else { (size.cast_signed().unsigned_abs(), size.cast_signed() < 0) };
        let digit = |index: u64| self.memory.u32(object.plus(layout.digits + 4 * index)).map(i64::from);
        let value = match digits {
            0 => 0,
            1 => digit(0)?,
            2 => digit(0)? + (digit(1)? << 30),
            _ => return Err(Fault::Unreadable(object)),
        };
        Ok(if negative { -value } else { value })
    }

    /// What can be shown of an object.
    ///
    /// # Errors
    /// When its type cannot be read.
    pub fn show(&self, object: RemoteAddr) -> Result<Shown, Fault> {
        let kind = self.type_of(object)?;
        let header = self.layout.object.header;
        Ok(match kind.name.as_str() {
            "NoneType" => Shown::None,
            "bool" => self.int(object).map_or(Shown::Object("bool".into()), |value| Shown::Bool(value != 0)),
            "float" => self.memory.u64(object.plus(header)).map(|bits| Shown::Float(f64::from_bits(bits)))?,
            "int" => self.int(object).map_or(Shown::Object("int".into()), Shown::Int),
            "str" => self.text(object).map_or(Shown::Object("str".into()), Shown::Text),
            name => Shown::Object(name.to_owned()),
        })
    }
}

const MOST_TYPES: usize = 4096;
