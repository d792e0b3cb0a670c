//! Looking into a running process at intervals: nothing of it is written, none of its threads is stopped.
//!
//! | module | holds |
//! |---|---|
//! | [`budget`], [`amplifier`] | how often to look; making the target switch threads more often |
//! | [`codes`] | code objects that were seen, with what static analysis says about them |
//! | [`look`], [`verify`] | one look at the process; what of it was so at one moment |
//! | [`site`] | what static analysis says about a position |
//! | [`locks`] | locks held and waited for |
//! | [`emit`] | from what was seen to events |
//! | [`strand`] | threads and tasks as they stand at one moment |
//! | [`target`] | the process that is looked into |

pub mod amplifier;
pub mod budget;
pub mod codes;
pub mod emit;
pub mod locks;
pub mod look;
pub mod site;
pub mod strand;
pub mod subject;
pub mod target;
pub mod verify;
