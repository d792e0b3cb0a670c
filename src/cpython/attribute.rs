//! Attributes of instances, classes and modules: the slot that holds one. Descriptors and inheritance are not followed,
//! except that a class's attribute is looked up along its bases.

use crate::target::address::RemoteAddr;
use crate::target::memory::{Fault, Memory};

use super::dict::Key;
use super::layout::AttributeStyle;
use super::object::flags;
use super::python::Python;

/// Where an object's own attributes are.
enum Place {
    None,
    Dict(RemoteAddr),
    /// Values in the order of keys that the class's instances share.
    Values {
        keys: RemoteAddr,
        values: RemoteAddr,
    },
}

impl<M: Memory> Python<M> {
    /// The slot of attribute `name` in the object's own attributes.
    ///
    /// # Errors
    /// When the object cannot be read.
    pub fn attribute_slot(&self, object: RemoteAddr, name: &str) -> Result<Option<RemoteAddr>, Fault> {
        match self.attributes_of(object)? {
            Place::Dict(dict) => self.dict_slot(dict, Key::Text(name)),
            Place::Values { keys, values } => self.shared_slot(keys, values, name),
            Place::None => Ok(None),
        }
    }

    /// The object's own attributes, by name, with their values.
    ///
    /// # Errors
    /// When the object cannot be read.
    pub fn attribute_entries(&self, object: RemoteAddr) -> Result<Vec<(String, RemoteAddr)>, Fault> {
        let entries = match self.attributes_of(object)? {
            Place::Dict(dict) => self.dict_entries(dict, MOST_ATTRIBUTES)?,
            Place::Values { keys, values } => self.shared_entries(keys, values, MOST_ATTRIBUTES)?,
            Place::None => Vec::new(),
        };
        Ok(entries.into_iter().filter_map(|entry| Some((self.text(entry.key).ok()?, entry.value))).collect())
    }

    fn attributes_of(&self, object: RemoteAddr) -> Result<Place, Fault> {
        let dict_or_none = |dict: RemoteAddr| if dict.is_null() { Place::None } else { Place::Dict(dict) };
        let class = self.type_of(object)?;
        if class.has(flags::TYPE) {
            return self.memory.pointer(object.plus(self.layout.r#type.dict)).map(dict_or_none);
        }
        if class.name == "module" {
            // {header, md_dict, …} in all versions.
            return self.memory.pointer(object.plus(self.layout.object.header)).map(dict_or_none);
        }
        if !class.has(flags::MANAGED_DICT) || self.layout.attributes.style == AttributeStyle::Dictionary {
            if class.dictoffset <= 0 {
                return Ok(Place::None);
            }
            return self.memory.pointer(object.offset(class.dictoffset)).map(dict_or_none);
        }
        let keys = self.memory.pointer(class.at.plus(self.layout.r#type.cached_keys))?;
        let word = self.memory.pointer(object.offset(self.layout.attributes.dict.unwrap_or(0)))?;
        Ok(match self.layout.attributes.style {
            AttributeStyle::Dictionary => Place::None,
            AttributeStyle::ValuesPointer if word.is_null() => {
                let values = self.memory.pointer(object.offset(self.layout.attributes.values.unwrap_or(0)))?;
                if values.is_null() { Place::None } else { Place::Values { keys, values } }
            }
            AttributeStyle::TaggedPointer if word.0 & 1 == 1 => Place::Values { keys, values: word.plus(1) },
            AttributeStyle::InlineValues if word.is_null() && class.has(flags::INLINE_VALUES) => {
                // {capacity, size, embedded, valid} before the values themselves.
                Place::Values { keys, values: object.plus(class.basicsize).plus(self.layout.dict.split_values) }
            }
            _ => dict_or_none(word),
        })
    }

    /// What an instance has in one of its class's `__slots__`.
    pub fn member(&self, object: RemoteAddr, name: &str) -> Option<RemoteAddr> {
        let class = self.type_of(object).ok()?;
        let descriptor = self.class_attribute(class.at, name).ok()??;
        if !self.type_of(descriptor).ok()?.is_builtin("member_descriptor") {
            return None;
        }
        // {header, d_type, d_name, d_qualname, d_member}, which is {name, type, offset, …}.
        let member = self.memory.pointer(descriptor.plus(self.layout.object.header + 24)).ok()?;
        let offset = self.memory.u64(member.plus(16)).ok().filter(|offset| *offset < class.basicsize)?;
        self.memory.pointer(object.plus(offset)).ok().filter(|value| !value.is_null())
    }

    /// The value of an attribute: the object's own, else its class's or a base's.
    ///
    /// # Errors
    /// When the object cannot be read.
    pub fn attribute(&self, object: RemoteAddr, name: &str) -> Result<Option<RemoteAddr>, Fault> {
        if let Some(slot) = self.attribute_slot(object, name)? {
            let value = self.memory.pointer(slot)?;
            if !value.is_null() {
                return Ok(Some(value));
            }
        }
        let class = self.type_of(object)?;
        self.class_attribute(if class.has(flags::TYPE) { object } else { class.at }, name)
    }

    /// The attribute of a class, or of the first of its bases that has it.
    ///
    /// # Errors
    /// When a class cannot be read.
    pub fn class_attribute(&self, class: RemoteAddr, name: &str) -> Result<Option<RemoteAddr>, Fault> {
        for base in self.tuple(self.memory.pointer(class.plus(self.layout.r#type.mro))?)?.into_iter().take(MOST_BASES) {
            let dict = self.memory.pointer(base.plus(self.layout.r#type.dict))?;
            // Static types keep their dict elsewhere from 3.12 on; none of them has attributes of interest.
            if dict.is_null() {
                continue;
            }
            if let Some(value) = self.dict_get(dict, Key::Text(name))? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// Is the attribute a property, or computed in another way by the object's class?
    pub fn is_computed(&self, object: RemoteAddr, name: &str) -> bool {
        let Ok(Some(found)) = self.attribute(object, name) else { return false };
        let Ok(class) = self.type_of(found) else { return true };
        let has = |method: &str| class.has(flags::HEAP) && matches!(self.class_attribute(class.at, method), Ok(Some(_)));
        match class.name.as_str() {
            "property" | "getset_descriptor" | "functools.cached_property" => true,
            _ => has("__get__"),
        }
    }

    /// Is a class of that name among the bases of `class`, or `class` itself?
    pub fn derives_from(&self, class: RemoteAddr, name: &str) -> bool {
        let mro = self.memory.pointer(class.plus(self.layout.r#type.mro)).and_then(|mro| self.tuple(mro));
        let is_it = |base: &RemoteAddr| self.type_info(*base).is_ok_and(|info| info.name == name);
        mro.unwrap_or_default().iter().take(MOST_BASES).any(is_it)
    }

    /// The module `name` of an interpreter, as `sys.modules` has it.
    ///
    /// # Errors
    /// When `sys.modules` cannot be read.
    pub fn module(&self, interpreter: RemoteAddr, name: &str) -> Result<Option<RemoteAddr>, Fault> {
        let modules = self.memory.pointer(interpreter.plus(self.layout.interpreter.modules))?;
        if modules.is_null() {
            return Ok(None);
        }
        // Asked for again and again, often in vain, among hundreds of modules.
        let state = (self.dict_keys(modules)?, self.dict_len(modules)?);
        let known = (modules, name.to_owned());
        if self.absent.borrow().get(&known) == Some(&state) {
            return Ok(None);
        }
        let found = self.dict_get(modules, Key::Text(name))?;
        if found.is_none() {
            let mut absent = self.absent.borrow_mut();
            if absent.len() >= MOST_ABSENT {
                absent.clear();
            }
            absent.insert(known, state);
        }
        Ok(found)
    }
}

const MOST_BASES: usize = 64;
const MOST_ABSENT: usize = 256;
const MOST_ATTRIBUTES: usize = 1024;
