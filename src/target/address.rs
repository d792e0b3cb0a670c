//! Addresses in another process. They are numbers: nothing here can turn one into a pointer of our own.

use std::fmt;

/// An address in the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct RemoteAddr(pub u64);

impl RemoteAddr {
    pub const NULL: RemoteAddr = RemoteAddr(0);

    pub fn is_null(self) -> bool {
        self.0 == 0
    }

    /// `self + bytes`; wraps, because what was read may be garbage and a read of the result is checked anyway.
    #[must_use]
    pub fn plus(self, bytes: u64) -> RemoteAddr {
        RemoteAddr(self.0.wrapping_add(bytes))
    }

    /// `self + bytes` for offsets that may be negative (what lies before an object's header).
    #[must_use]
    pub fn offset(self, bytes: i64) -> RemoteAddr {
        RemoteAddr(self.0.wrapping_add_signed(bytes))
    }
}

impl fmt::LowerHex for RemoteAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(&self.0, f)
    }
}
