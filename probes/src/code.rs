//! A code object as plain data: what the agent or the sampler copies out of an interpreter.

/// `types.CodeType`, unspecialised (`co_code`, not the adaptive copy), with names as text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Code {
    pub filename: String,
    pub name: String,
    /// `co_qualname`; equal to `name` before 3.11.
    pub qualname: String,
    pub first_line: u32,
    /// `co_flags`.
    pub flags: u32,
    pub argcount: u32,
    pub posonly: u32,
    pub kwonly: u32,
    pub stacksize: u32,
    pub bytecode: Vec<u8>,
    /// `co_names`.
    pub names: Vec<String>,
    /// Locals, cells and free variables in the order of the frame's slots (`co_localsplusnames`); before 3.11
    /// varnames, then cellvars, then freevars.
    pub locals: Vec<String>,
    /// How many of `locals`' entries are plain locals / cells / free variables, as the interpreter counts them.
    pub nlocals: u32,
    pub ncells: u32,
    pub nfrees: u32,
    pub consts: Vec<Const>,
    /// `co_linetable` (3.10+: `co_linetable`; before: `co_lnotab`).
    pub line_table: Vec<u8>,
    /// `co_exceptiontable` (3.11+; empty before).
    pub exception_table: Vec<u8>,
}

/// A constant, as far as windows and reports care.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Const {
    None,
    Bool(bool),
    Int(i64),
    Text(String),
    /// A tuple of constants (keyword names of calls before 3.13, keys of subscripts).
    Tuple(Vec<Const>),
    Other,
}

impl Const {
    /// A text, of which no more is kept than a key or an attribute's name needs: documentation is not for traces.
    #[must_use]
    pub fn text(text: &str) -> Const {
        let kept: String = text.lines().next().unwrap_or_default().chars().take(60).collect();
        // An empty text would be false where it is tested.
        Const::Text(if kept.is_empty() && !text.is_empty() { "…".to_owned() } else { kept })
    }
}
