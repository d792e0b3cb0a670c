//! Arguments only; no work.
