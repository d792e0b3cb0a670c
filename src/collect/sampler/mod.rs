//! Looking into a running process at intervals: nothing of it is written, none of its threads is stopped.
//!
//! | module | holds |
//! |---|---|
//! | [`codes`] | code objects that were seen, with what static analysis says about them |
//! | [`strand`] | threads and tasks as they stand at one moment |
//! | [`target`] | the process that is looked into |

pub mod codes;
pub mod strand;
pub mod target;
