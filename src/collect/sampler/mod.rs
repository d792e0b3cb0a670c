//! Looking into a running process at intervals: nothing of it is written, none of its threads is stopped.
//!
//! | module | holds |
//! |---|---|
//! | [`budget`], [`pace`], [`amplifier`] | how often to look, and how thoroughly; making the target switch threads more often |
//! | [`codes`] | code objects that were seen, with what static analysis says about them |
//! | [`look`], [`reading`], [`verify`] | one look at the process; what it reads of each strand; what of it was so at one moment |
//! | [`site`], [`approach`], [`ways`], [`turns`] | what static analysis says about a position, and what lies ahead of it |
//! | [`found`], [`subject`], [`value`] | windows, loops and coming accesses in the frames of a look; the objects they are about |
//! | [`present`] | the values that those objects have now |
//! | [`behind`] | windows that lie right behind a position |
//! | [`working`], [`course`], [`roots`] | threads that run freely, the windows that they come to, what they were given |
//! | [`starting`] | threads that are bound to be started |
//! | [`accessor`] | windows from one call to another |
//! | [`dropped`], [`abandoned`] | coroutines that are made and thrown away; that are kept, and never run |
//! | [`paths`], [`files`], [`prints`] | paths that are asked about and then acted on; files that are written in pieces |
//! | [`plain`] | whether a call can make a strand wait for another one |
//! | [`locks`], [`nesting`] | locks held and waited for; taken one inside the other |
//! | [`say`], [`emit`] | from what was seen to events |
//! | [`strand`], [`names`] | threads and tasks as they stand at one moment; what threads are called |
//! | [`target`] | the process that is looked into |

mod abandoned;
mod accessor;
pub mod amplifier;
mod approach;
mod behind;
pub mod budget;
pub mod codes;
mod course;
mod dropped;
pub mod emit;
mod files;
mod found;
pub mod locks;
pub mod look;
mod names;
mod nesting;
mod pace;
mod paths;
mod plain;
mod present;
mod prints;
pub mod reading;
mod roots;
mod say;
pub mod site;
mod starting;
pub mod strand;
pub mod subject;
pub mod target;
mod turns;
mod value;
pub mod verify;
mod ways;
mod working;
