//! Dicts: where the value of a key lies, and all entries. Keys are compared by text, by number or by identity; what
//! would need Python code to compare is not found.

use crate::target::address::RemoteAddr;
use crate::target::memory::{Fault, Memory};

use super::layout::KeysStyle;
use super::python::{Python, half_at, word_at};

/// Which key is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key<'a> {
    Text(&'a str),
    Int(i64),
    Identity(RemoteAddr),
}

/// A keys table, ready to be walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Table {
    entries: RemoteAddr,
    count: u64,
    /// Bytes of an entry, and of key and value within it.
    stride: u64,
    key: u64,
    value: u64,
    /// Values that lie apart (split tables).
    split: Option<RemoteAddr>,
}

impl Table {
    /// Where the value of the entry with that index lies.
    fn slot(&self, index: u64) -> RemoteAddr {
        let beside = self.entries.plus(index * self.stride + self.value);
        self.split.map_or(beside, |values| values.plus(8 * index))
    }
}

/// An entry of a dict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub key: RemoteAddr,
    /// Where the value's pointer lies.
    pub slot: RemoteAddr,
    pub value: RemoteAddr,
}

const MOST_ENTRIES: u64 = 1 << 16;
/// What is remembered of tables, and of the keys of one.
const MOST_TABLES: usize = 1 << 12;
const MOST_KEYS: usize = 1 << 8;

impl<M: Memory> Python<M> {
    /// The slot of `key`'s value. A resize moves it: compare [`Python::dict_keys`] before relying on it again.
    ///
    /// # Errors
    /// When the dict cannot be read.
    pub fn dict_slot(&self, dict: RemoteAddr, key: Key<'_>) -> Result<Option<RemoteAddr>, Fault> {
        let table = self.table_of(dict)?;
        self.slot_in(&table, key)
    }

    /// The value of `key`.
    ///
    /// # Errors
    /// When the dict cannot be read.
    pub fn dict_get(&self, dict: RemoteAddr, key: Key<'_>) -> Result<Option<RemoteAddr>, Fault> {
        let Some(slot) = self.dict_slot(dict, key)? else { return Ok(None) };
        Ok(Some(self.memory.pointer(slot)?).filter(|value| !value.is_null()))
    }

    /// The address of the keys table: changes when slots move.
    ///
    /// # Errors
    /// When the dict cannot be read.
    pub fn dict_keys(&self, dict: RemoteAddr) -> Result<RemoteAddr, Fault> {
        self.memory.pointer(dict.plus(self.layout.dict.keys))
    }

    /// # Errors
    /// When the dict cannot be read.
    pub fn dict_len(&self, dict: RemoteAddr) -> Result<u64, Fault> {
        self.memory.u64(dict.plus(self.layout.dict.used))
    }

    /// All entries that have a value, at most `limit`.
    ///
    /// # Errors
    /// When the dict cannot be read.
    pub fn dict_entries(&self, dict: RemoteAddr, limit: usize) -> Result<Vec<Entry>, Fault> {
        self.entries(&self.table_of(dict)?, limit)
    }

    /// The attributes in `values` that go with a class's shared `keys`.
    pub(super) fn shared_entries(&self, keys: RemoteAddr, values: RemoteAddr, limit: usize) -> Result<Vec<Entry>, Fault> {
        self.entries(&Table { split: Some(values), ..self.table(keys)? }, limit)
    }

    fn entries(&self, table: &Table, limit: usize) -> Result<Vec<Entry>, Fault> {
        let mut found = Vec::new();
        self.each(table, |_, entry| {
            let value = match table.split {
                Some(_) => self.memory.pointer(entry.slot).unwrap_or(RemoteAddr::NULL),
                None => entry.value,
            };
            if !value.is_null() {
                found.push(Entry { value, ..entry });
            }
            found.len() >= limit
        })?;
        Ok(found)
    }

    /// The slot of attribute `name` in `values` that go with a class's shared `keys`.
    pub(super) fn shared_slot(&self, keys: RemoteAddr, values: RemoteAddr, name: &str) -> Result<Option<RemoteAddr>, Fault> {
        let table = Table { split: Some(values), ..self.table(keys)? };
        self.slot_in(&table, Key::Text(name))
    }

    fn table_of(&self, dict: RemoteAddr) -> Result<Table, Fault> {
        let layout = &self.layout.dict;
        let values = self.memory.pointer(dict.plus(layout.values))?;
        let split = (!values.is_null()).then(|| values.plus(layout.split_values));
        Ok(Table { split, ..self.table(self.dict_keys(dict)?)? })
    }

    fn table(&self, keys: RemoteAddr) -> Result<Table, Fault> {
        let mut header = [0; 40];
        self.memory.read(keys, &mut header)?;
        let table = match self.layout.dict.style {
            KeysStyle::Hashed => {
                // {refcount, dk_size, dk_lookup, dk_usable, dk_nentries}, then dk_size indices of 1, 2, 4 or 8 bytes.
                let (size, count) = (word_at(&header, 8), word_at(&header, 32));
                let width = match size {
                    0..=0xff => 1,
                    0x100..=0xffff => 2,
                    0x1_0000..=0xffff_ffff => 4,
                    _ => return Err(Fault::Unreadable(keys)),
                };
                Table { entries: keys.plus(40 + size * width), count, stride: 24, key: 8, value: 16, split: None }
            }
            KeysStyle::Compact => {
                let [_, index_bytes, kind, _] = half_at(&header, 8).to_le_bytes();
                if index_bytes > 40 {
                    return Err(Fault::Unreadable(keys));
                }
                let (stride, key, value) = if kind == 0 { (24, 8, 16) } else { (16, 0, 8) };
                let entries = keys.plus(32 + (1 << index_bytes));
                Table { entries, count: word_at(&header, 24), stride, key, value, split: None }
            }
        };
        if table.count > MOST_ENTRIES { Err(Fault::Unreadable(keys)) } else { Ok(table) }
    }

    fn each(&self, table: &Table, mut visit: impl FnMut(u64, Entry) -> bool) -> Result<(), Fault> {
        let len = usize::try_from(table.count * table.stride).unwrap_or(0);
        let bytes = self.memory.bytes(table.entries, len)?;
        for index in 0..table.count {
            let at = index * table.stride;
            let key = RemoteAddr(word_at(&bytes, at + table.key));
            if key.is_null() {
                continue;
            }
            let slot = table.slot(index);
            if visit(index, Entry { key, slot, value: RemoteAddr(word_at(&bytes, at + table.value)) }) {
                break;
            }
        }
        Ok(())
    }

    fn slot_in(&self, table: &Table, key: Key<'_>) -> Result<Option<RemoteAddr>, Fault> {
        let Key::Text(text) = key else { return Ok(self.find(table, key)?.map(|(index, _)| table.slot(index))) };
        let known = self.keys.borrow().get(&table.entries).and_then(|keys| keys.get(text).copied());
        if let Some((index, object)) = known
            && index < table.count
            && self.memory.pointer(table.entries.plus(index * table.stride + table.key)) == Ok(object)
        {
            return Ok(Some(table.slot(index)));
        }
        let Some((index, object)) = self.find(table, key)? else { return Ok(None) };
        let mut tables = self.keys.borrow_mut();
        if tables.len() >= MOST_TABLES {
            tables.clear();
        }
        let keys = tables.entry(table.entries).or_default();
        if keys.len() >= MOST_KEYS {
            keys.clear();
        }
        keys.insert(text.to_owned(), (index, object));
        Ok(Some(table.slot(index)))
    }

    /// The index and the key object of a key's entry.
    fn find(&self, table: &Table, key: Key<'_>) -> Result<Option<(u64, RemoteAddr)>, Fault> {
        let mut found = None;
        self.each(table, |index, entry| {
            if self.is_key(entry.key, key) {
                found = Some((index, entry.key));
            }
            found.is_some()
        })?;
        Ok(found)
    }

    fn is_key(&self, object: RemoteAddr, key: Key<'_>) -> bool {
        match key {
            Key::Identity(address) => object == address,
            Key::Text(text) => self.text_is(object, text),
            Key::Int(value) => self.int(object) == Ok(value),
        }
    }

    /// Compares lengths first: most keys differ there.
    fn text_is(&self, object: RemoteAddr, text: &str) -> bool {
        match self.memory.u64(object.plus(self.layout.text.length)) {
            Ok(length) if length == text.chars().count() as u64 => self.text(object).is_ok_and(|found| found == text),
            _ => false,
        }
    }
}
