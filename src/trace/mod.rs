//! The trace file: everything that a report needs, later and elsewhere. Writer, reader, one module per format version.
//! Judges nothing: what the events mean is the analysis' business.
//!
//! A file is append-only and made of independent compressed blocks, so that one that was cut at any byte, by a crash or a
//! full disk, is readable up to there. What is missing is said: [`Item::Record`] with [`Gap`](crate::event::Event::Gap)
//! where records are lost, and [`Missing`] in sentences at the end. The format is described in [`v1`].
//!
//! | module | holds |
//! |---|---|
//! | [`writer`] | append, flush, keep to a limit |
//! | [`reader`] | records, findings so far and source lines of a file or of bytes, whatever state they are in |
//! | [`ahead`] | the same in a thread of its own |
//! | [`excerpt`] | the source lines that a report shows |
//! | [`hostile`] | files for fuzzing |
//! | [`privacy`] | leaves the program's values out |
//! | [`v1`] | the bytes of version 1 |

pub mod ahead;
mod error;
pub mod excerpt;
pub mod hostile;
mod limit;
mod missing;
pub mod privacy;
pub mod reader;
pub mod v1;
pub mod writer;

#[cfg(test)]
mod tests;

pub use error::Error;
pub use excerpt::SourceLines;
pub use missing::Missing;
pub use reader::{Item, Reader};
pub use writer::{Options, Policy, Writer};
