//! Where the fields of CPython's structures are. The tables are data (`layout/*.json`): `offsetof` over the internal
//! headers of each version, printed by `layout/generate.py`, which also says how to add a version. From 3.13 on the
//! interpreters describe the part that builds may vary themselves ([`super::debug_offsets`]). No logic by version: what
//! differs is a field here.

use racetrace_probes::version::Version;
use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
pub struct Layout {
    pub runtime: Runtime,
    pub interpreter: Interpreter,
    pub thread: Thread,
    pub gil: Gil,
    /// 3.12 and 3.13.
    pub pending: Option<Pending>,
    pub frame: Frame,
    pub code: Code,
    pub object: Object,
    pub r#type: Type,
    pub tuple: Items,
    pub list: Items,
    pub set: Set,
    pub bytes: Bytes,
    pub text: Text,
    pub dict: Dict,
    pub int: Int,
    pub method: Method,
    pub builtin: Builtin,
    pub function: Function,
    pub generator: Generator,
    pub attributes: Attributes,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Runtime {
    pub interpreters_head: u64,
    /// Where the GIL belongs to the runtime (before 3.12).
    pub gil: Option<u64>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Interpreter {
    pub id: u64,
    pub next: u64,
    pub threads_head: u64,
    pub modules: u64,
    /// Where each interpreter points to its GIL (3.12+).
    pub gil: Option<u64>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Thread {
    pub next: u64,
    pub interpreter: u64,
    pub thread_id: u64,
    /// 3.11+.
    pub native_thread_id: Option<u64>,
    /// Where a structure on the C stack holds the frame (3.11, 3.12): the offset of the pointer to it.
    pub cframe: Option<u64>,
    /// The current frame, within the thread or within that structure.
    pub frame: u64,
    /// A 32-bit word that is 0 while the thread runs no Python code (free-threaded builds).
    pub state: Option<u64>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Gil {
    pub interval: u64,
    pub last_holder: u64,
    pub locked: u64,
    pub switch_number: u64,
    /// Only where it can be off.
    pub enabled: Option<u64>,
}

/// The calls that an interpreter is to make at its next safe point: a ring in its state.
#[derive(Debug, Clone, Deserialize)]
pub struct Pending {
    pub calls: u64,
    /// Size of one: function, argument.
    pub call: u64,
    pub capacity: u32,
    /// Index of the first that waits, and of the place behind the last.
    pub first: u64,
    pub end: u64,
    /// How many wait (3.13), or whether any does (3.12).
    pub waiting: u64,
    /// An int in the interpreter that is not 0 when there is something to do (3.12).
    pub interpreter_breaker: Option<u64>,
    /// The word in each thread with a bit for each thing to do (3.13).
    pub thread_breaker: Option<u64>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Frame {
    pub code: u64,
    pub globals: u64,
    pub previous: u64,
    /// `localsplus`: locals, cells, free variables, then the value stack.
    pub slots: u64,
    /// Before 3.11: index of the last instruction, and its unit in bytes.
    pub lasti: Option<u64>,
    pub lasti_unit: Option<u64>,
    /// 3.11+: pointer to an instruction.
    pub instruction: Option<u64>,
    pub owner: Option<u64>,
    /// Saved stack depth, whichever form it has: a pointer to the first free slot …
    pub stack_pointer: Option<u64>,
    /// … a count above `value_stack` …
    pub stack_depth: Option<u64>,
    pub value_stack: Option<u64>,
    /// … or a count above `slots`; -1 while the frame executes.
    pub stack_top: Option<u64>,
    /// Bits of a stack slot that are no address.
    pub tag_bits: u64,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Code {
    pub consts: u64,
    pub names: u64,
    pub filename: u64,
    pub name: u64,
    pub flags: u64,
    pub stacksize: u64,
    pub firstlineno: u64,
    pub argcount: u64,
    pub posonly: u64,
    pub kwonly: u64,
    pub nlocals: u64,
    pub line_table: u64,
    /// Before 3.11: a bytes object, and three tuples of names.
    pub bytecode: Option<u64>,
    pub varnames: Option<u64>,
    pub cellvars: Option<u64>,
    pub freevars: Option<u64>,
    /// 3.11+: the specialised bytecode in place, one tuple of names.
    pub adaptive: Option<u64>,
    pub localsplusnames: Option<u64>,
    pub ncells: Option<u64>,
    pub nfrees: Option<u64>,
    pub qualname: Option<u64>,
    pub exception_table: Option<u64>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Object {
    pub r#type: u64,
    /// Size of an object's header.
    pub header: u64,
    /// `ob_size` of objects that have it.
    pub size: u64,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Type {
    pub name: u64,
    pub flags: u64,
    pub basicsize: u64,
    pub dictoffset: u64,
    pub mro: u64,
    pub dict: u64,
    pub cached_keys: u64,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Items {
    pub items: u64,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Set {
    pub used: u64,
    pub mask: u64,
    pub table: u64,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Bytes {
    pub data: u64,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Text {
    pub length: u64,
    pub state: u64,
    /// Size of the header of an ASCII string, and of any other compact one.
    pub ascii: u64,
    pub compact: u64,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Dict {
    pub used: u64,
    pub keys: u64,
    pub values: u64,
    pub style: KeysStyle,
    /// Bytes before the first value of a split table.
    pub split_values: u64,
}

/// The shape of a dict's keys table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeysStyle {
    /// {refcount, size, lookup, usable, entries}, then indices, then {hash, key, value} (3.8 to 3.10).
    Hashed,
    /// {refcount, logarithms, kind, version, usable, entries}; entries without hash for text keys (3.11+).
    Compact,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Int {
    pub size: u64,
    pub digits: u64,
    /// The size word holds the sign in its low bits (3.12+), else it is negative for negative numbers.
    pub tagged: bool,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Method {
    pub function: u64,
    pub receiver: u64,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Builtin {
    pub definition: u64,
    pub receiver: u64,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Function {
    pub code: u64,
    pub closure: u64,
    pub globals: u64,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Generator {
    /// The frame itself (3.11+), or a pointer to it.
    pub frame: u64,
    /// One byte (3.11+).
    pub state: Option<u64>,
    pub qualname: u64,
    /// What `state` is in one that has not begun, and in one that is suspended.
    #[serde(default)]
    pub created: i8,
    #[serde(default)]
    pub suspended: Vec<i8>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Attributes {
    pub style: AttributeStyle,
    /// Offset of the managed dict's pointer from the object.
    pub dict: Option<i64>,
    /// Offset of the pointer to the values.
    pub values: Option<i64>,
}

/// Where an instance without a dict of its own keeps its attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttributeStyle {
    /// Always in a dict (3.8 to 3.10).
    Dictionary,
    /// A pointer to values before the object (3.11).
    ValuesPointer,
    /// One tagged word, dict or values (3.12).
    TaggedPointer,
    /// Behind the object (3.13+).
    InlineValues,
}

impl Layout {
    /// The table for a version; `None` for versions that nobody has described.
    pub fn of(version: Version) -> Option<Layout> {
        let table = match (version.minor, version.free_threaded) {
            (8, false) => include_str!("layout/3.8.json"),
            (9, false) => include_str!("layout/3.9.json"),
            (10, false) => include_str!("layout/3.10.json"),
            (11, false) => include_str!("layout/3.11.json"),
            (12, false) => include_str!("layout/3.12.json"),
            (13, false) => include_str!("layout/3.13.json"),
            (13, true) => include_str!("layout/3.13t.json"),
            (14, false) => include_str!("layout/3.14.json"),
            (15, false) => include_str!("layout/3.15.json"),
            _ => return None,
        };
        serde_json::from_str(table).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_supported_version_has_a_table_that_parses() {
        for minor in Version::OLDEST..=Version::NEWEST {
            let version = Version { minor, free_threaded: false };
            assert!(Layout::of(version).is_some(), "{version:?}");
        }
        assert!(Layout::of(Version { minor: 13, free_threaded: true }).is_some());
        assert!(Layout::of(Version { minor: 7, free_threaded: false }).is_none());
    }
}
