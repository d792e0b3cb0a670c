//! Which CPython a code object belongs to.

/// A CPython minor version with its build flavour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version {
    /// 8 for CPython 3.8.
    pub minor: u8,
    /// Built with `--disable-gil`.
    pub free_threaded: bool,
}

impl Version {
    pub const OLDEST: u8 = 8;
    pub const NEWEST: u8 = 15;
}
