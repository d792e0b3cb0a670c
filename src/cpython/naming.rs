//! Names for objects: of threads as `threading` knows them, of modules by their globals, and of a lock or container by
//! where it is kept. It searches a frame's surroundings only, never the heap.

use std::collections::HashMap;

use crate::target::address::RemoteAddr;
use crate::target::memory::{Fault, Memory, Piece};

use super::dict::Key;
use super::object::flags;
use super::python::Python;

const MOST_THREADS: usize = 16_384;
const MOST_GLOBALS: usize = 4096;

impl<M: Memory> Python<M> {
    /// `threading.get_ident()` → name, for the threads of one interpreter that `threading` knows.
    ///
    /// # Errors
    /// When the module's table cannot be read.
    pub fn thread_names(&self, interpreter: RemoteAddr) -> Result<HashMap<u64, String>, Fault> {
        self.thread_names_of(interpreter, |_| true)
    }

    /// The same for those whose idents are `wanted`.
    ///
    /// # Errors
    /// When the module's table cannot be read.
    pub fn thread_names_of(&self, interpreter: RemoteAddr, wanted: impl Fn(u64) -> bool) -> Result<HashMap<u64, String>, Fault> {
        let mut names = HashMap::new();
        let mut threads = self.thread_objects(interpreter)?;
        threads.retain(|(ident, _)| wanted(*ident));
        let objects: Vec<Piece> = threads.iter().map(|(_, thread)| Piece { at: *thread, len: 64 }).collect();
        self.memory.prepare(&objects);
        for (ident, thread) in threads {
            if let Ok(Some(name)) = self.attribute(thread, "_name")
                && let Ok(name) = self.text(name)
            {
                names.insert(ident, name);
            }
        }
        Ok(names)
    }

    /// `threading._active`: the `Thread` objects by `get_ident()`.
    ///
    /// # Errors
    /// When the module's table cannot be read.
    pub fn thread_objects(&self, interpreter: RemoteAddr) -> Result<Vec<(u64, RemoteAddr)>, Fault> {
        let Some(module) = self.module(interpreter, "threading")? else { return Ok(Vec::new()) };
        let Some(active) = self.attribute(module, "_active")? else { return Ok(Vec::new()) };
        let entries = self.dict_entries(active, MOST_THREADS)?;
        Ok(entries.iter().filter_map(|entry| Some((self.ident(entry.key)?, entry.value))).collect())
    }

    /// An int of up to 64 bits, as `get_ident()` returns it (three digits).
    pub fn ident(&self, object: RemoteAddr) -> Option<u64> {
        let layout = &self.layout.int;
        let size = self.memory.u64(object.plus(layout.size)).ok()?;
        let digits = if layout.tagged { size >> 3 } else { size };
        if digits > 3 {
            return None;
        }
        let mut value = 0u64;
        for index in 0..digits {
            let digit = self.memory.u32(object.plus(layout.digits + 4 * index)).ok()?;
            value |= u64::from(digit).checked_shl(u32::try_from(30 * index).ok()?)?;
        }
        Some(value)
    }

    /// The name of the module whose globals these are; the main module goes by its file's stem, as the user calls it.
    pub fn module_name(&self, globals: RemoteAddr) -> Option<String> {
        let get = |key| self.dict_get(globals, Key::Text(key)).ok().flatten().and_then(|value| self.text(value).ok());
        let name = get("__name__")?;
        if name != "__main__" {
            return Some(name);
        }
        let file = get("__file__")?;
        Some(std::path::Path::new(&file).file_stem()?.to_string_lossy().into_owned())
    }

    /// The global variable that holds `object`, as `module.name`.
    pub fn global_holding(&self, globals: RemoteAddr, object: RemoteAddr) -> Option<String> {
        let entries = self.dict_entries(globals, MOST_GLOBALS).ok()?;
        let entry = entries.into_iter().find(|entry| entry.value == object)?;
        Some(format!("{}.{}", self.module_name(globals)?, self.text(entry.key).ok()?))
    }

    /// The attribute of `owner` that holds `object`, as `Class.name`.
    pub fn attribute_holding(&self, owner: RemoteAddr, object: RemoteAddr) -> Option<String> {
        let class = self.type_of(owner).ok()?;
        // Only instances of classes have attributes that a program made.
        if !class.has(flags::HEAP) && !class.has(flags::TYPE) {
            return None;
        }
        let (name, _) = self.attribute_entries(owner).ok()?.into_iter().find(|(_, value)| *value == object)?;
        let class_name = if class.has(flags::TYPE) { self.type_info(owner).ok()?.name.clone() } else { class.name.clone() };
        Some(format!("{class_name}.{name}"))
    }

    /// `sys.hexversion`, of the first interpreter that has got that far.
    pub fn version_hex(&self) -> Option<u32> {
        self.interpreters().ok()?.into_iter().find_map(|interpreter| {
            let sys = self.module(interpreter.at, "sys").ok()??;
            let hex = self.attribute(sys, "hexversion").ok()??;
            u32::try_from(self.int(hex).ok()?).ok()
        })
    }

    /// The third number of the version.
    pub fn micro(&self) -> Option<u8> {
        let [_, _, micro, _] = self.version_hex()?.to_be_bytes();
        Some(micro)
    }

    /// The directory of the standard library, with its final slash: where `os` lies.
    pub fn standard_library(&self) -> Option<String> {
        let interpreter = self.interpreters().ok()?.first()?.at;
        let file = self.text(self.attribute(self.module(interpreter, "os").ok()??, "__file__").ok()??).ok()?;
        Some(file.get(..=file.rfind('/')?)?.to_owned())
    }
}
