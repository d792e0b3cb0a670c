//! Code objects, read out of another process and unspecialised: the bytecode as the compiler wrote it.

use racetrace_probes::code::{Code, Const};
use racetrace_probes::version::Version;
use serde::Deserialize;

use crate::target::address::RemoteAddr;
use crate::target::memory::{Fault, Memory};

use super::object::Shown;
use super::python::{Python, half_at, word_at};

/// Bytes at the start of a code object that identify it: if they are unchanged, so is the code.
pub const IDENTITY: usize = 136;
const LARGEST_BYTECODE: u64 = 1 << 19;
const MOST_NAMES_BYTES: usize = 8 << 20;
const MOST_CONSTANTS_BYTES: usize = 16 << 20;
/// Constants are tuples of tuples at the most: deeper ones say nothing more.
const DEEPEST_CONSTANT: usize = 3;

/// A code object with where its bytecode lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteCode {
    pub at: RemoteAddr,
    pub code: Code,
    /// Address of the first instruction.
    pub start: RemoteAddr,
}

/// How a version specialises bytecode.
#[derive(Debug, Clone)]
pub struct Specialisation {
    base: [u8; 256],
    caches: [u8; 256],
}

#[derive(Deserialize)]
struct Table {
    base: Vec<(u8, u8)>,
    caches: Vec<(u8, u8)>,
}

impl Specialisation {
    /// The tables are printed by `opcodes/generate.py` under each version.
    pub fn of(version: Version) -> Specialisation {
        let text = match version.minor {
            11 => include_str!("opcodes/3.11.json"),
            12 => include_str!("opcodes/3.12.json"),
            13 => include_str!("opcodes/3.13.json"),
            14 => include_str!("opcodes/3.14.json"),
            15 => include_str!("opcodes/3.15.json"),
            _ => r#"{"base": [], "caches": []}"#,
        };
        let mut this = Specialisation { base: std::array::from_fn(|index| index as u8), caches: [0; 256] };
        if let Ok(table) = serde_json::from_str::<Table>(text) {
            for (special, base) in table.base {
                this.base[usize::from(special)] = base;
            }
            for (opcode, count) in table.caches {
                this.caches[usize::from(opcode)] = count;
            }
        }
        this
    }

    /// Puts the compiler's opcodes back and clears the inline caches.
    pub fn undo(&self, bytecode: &mut [u8]) {
        let mut units = bytecode.chunks_exact_mut(2);
        while let Some(unit) = units.next() {
            let [opcode, _] = unit else { return };
            *opcode = self.base[usize::from(*opcode)];
            for _ in 0..self.caches[usize::from(*opcode)] {
                if let Some(cache) = units.next() {
                    cache.fill(0);
                }
            }
        }
    }

    /// Bytes from an (unspecialised) instruction to the next one.
    pub fn length(&self, opcode: u8) -> usize {
        2 + 2 * usize::from(self.caches[usize::from(opcode)])
    }
}

impl<M: Memory> Python<M> {
    /// Reads a code object.
    ///
    /// # Errors
    /// When something there cannot be read or is no code.
    pub fn code(&self, at: RemoteAddr, specialisation: &Specialisation) -> Result<RemoteCode, Fault> {
        if !self.type_of(at)?.is_builtin("code") {
            return Err(Fault::Unreadable(at));
        }
        let layout = &self.layout.code;
        let object = self.memory.bytes(at, CODE_SIZE)?;
        let pointer = |offset: u64| RemoteAddr(word_at(&object, offset));
        let number = |offset: u64| half_at(&object, offset);
        let names = |offset: Option<u64>| offset.map_or(Ok(Vec::new()), |offset| self.names(pointer(offset)));
        let (start, bytecode) = match (layout.adaptive, layout.bytecode) {
            (Some(offset), _) => {
                let units = word_at(&object, self.layout.object.size);
                if units > LARGEST_BYTECODE {
                    return Err(Fault::Unreadable(at));
                }
                let mut bytecode = self.memory.bytes(at.plus(offset), usize::try_from(units * 2).unwrap_or(0))?;
                specialisation.undo(&mut bytecode);
                (at.plus(offset), bytecode)
            }
            (None, Some(offset)) => {
                let bytes = pointer(offset);
                (bytes.plus(self.layout.bytes.data), self.byte_string(bytes)?)
            }
            (None, None) => return Err(Fault::Unreadable(at)),
        };
        let name = self.text(pointer(layout.name))?;
        let (varnames, cells, frees) = (names(layout.varnames)?, names(layout.cellvars)?, names(layout.freevars)?);
        let together = names(layout.localsplusnames)?;
        let count = |offset: Option<u64>, list: &[String]| offset.map_or(u32::try_from(list.len()).unwrap_or(0), number);
        Ok(RemoteCode {
            at,
            start,
            code: Code {
                filename: self.text(pointer(layout.filename))?,
                qualname: layout.qualname.map_or_else(|| Ok(name.clone()), |offset| self.text(pointer(offset)))?,
                name,
                first_line: number(layout.firstlineno),
                flags: number(layout.flags),
                argcount: number(layout.argcount),
                posonly: number(layout.posonly),
                kwonly: number(layout.kwonly),
                stacksize: number(layout.stacksize),
                bytecode,
                names: self.names(pointer(layout.names))?,
                nlocals: number(layout.nlocals),
                ncells: count(layout.ncells, &cells),
                nfrees: count(layout.nfrees, &frees),
                locals: if layout.localsplusnames.is_some() { together } else { [varnames, cells, frees].concat() },
                consts: self.constants(pointer(layout.consts))?,
                line_table: self.byte_string(pointer(layout.line_table))?,
                exception_table: layout.exception_table.map_or(Ok(Vec::new()), |offset| self.byte_string(pointer(offset)))?,
            },
        })
    }

    fn names(&self, tuple: RemoteAddr) -> Result<Vec<String>, Fault> {
        let mut names = Vec::new();
        let mut left = MOST_NAMES_BYTES;
        for item in self.tuple(tuple)? {
            let name = self.text(item)?;
            left = left.checked_sub(name.len() + size_of::<String>()).ok_or(Fault::Unreadable(tuple))?;
            names.push(name);
        }
        Ok(names)
    }

    fn constants(&self, tuple: RemoteAddr) -> Result<Vec<Const>, Fault> {
        let mut left = MOST_CONSTANTS_BYTES;
        Ok(self.tuple(tuple)?.into_iter().map(|item| self.constant(item, DEEPEST_CONSTANT, &mut left)).collect())
    }

    /// `left` is what all constants together may still take: a damaged tuple can hold itself many times.
    fn constant(&self, object: RemoteAddr, depth: usize, left: &mut usize) -> Const {
        let Some(rest) = left.checked_sub(size_of::<Const>()) else { return Const::Other };
        *left = rest;
        match self.show(object) {
            Ok(Shown::None) => Const::None,
            Ok(Shown::Bool(value)) => Const::Bool(value),
            Ok(Shown::Int(value)) => Const::Int(value),
            Ok(Shown::Text(text)) => {
                *left = left.saturating_sub(text.len());
                Const::text(&text)
            }
            Ok(Shown::Object(name)) if name == "tuple" && depth > 0 => self.tuple(object).map_or(Const::Other, |items| {
                Const::Tuple(items.into_iter().take(256).map(|item| self.constant(item, depth - 1, left)).collect())
            }),
            _ => Const::Other,
        }
    }
}

/// Enough of a code object's fields in every version; the specialised bytecode lies behind.
const CODE_SIZE: usize = 184;
