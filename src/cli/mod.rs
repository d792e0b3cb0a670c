//! Arguments only; no work.

pub mod diff;
pub mod explain;
pub mod output;
