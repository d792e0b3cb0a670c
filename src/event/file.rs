//! What can be said of files: how they are opened, at which layer they are written, and what becomes of paths. Which file it is,
//! the events say.

use serde::{Deserialize, Serialize};

/// How a file was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OpenMode {
    Read,
    /// Truncates or creates.
    Write,
    Append,
    /// `r+`.
    Update,
    /// `x` / `O_EXCL`.
    Exclusive,
    /// It was open when it was first seen.
    Found,
}

/// At which layer a write was seen: text (`TextIOWrapper.write`), buffered, or the system call (`FileIO`, `os.write`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WriteLevel {
    Text,
    Buffered,
    System,
}

/// What a use of a path does to what lies there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PathEffect {
    /// Opened for reading: needs it to exist.
    Open,
    /// Opened for writing or created: changes it.
    Create,
    Remove,
    /// Renamed away, or renamed onto.
    Rename,
    MakeDirectory,
    Change,
}
