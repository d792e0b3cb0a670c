//! racetrace finds race conditions in running CPython programs.
//!
//! The way of the data: target → probes or sampler → events → trace → analysis → findings → reports.
//!
//! | module | holds |
//! |---|---|
//! | [`event`] | the vocabulary that every source speaks |
//! | [`analysis`] | events in, findings out; no I/O |
//! | [`finding`] | findings and the catalogue of kinds |
//! | [`report`] | text, JSON, SARIF, JUnit, GitHub, Markdown, HTML, trace-event JSON |
//! | [`trace`] | the file: writer, reader, one module per format version |
//! | [`target`] | another process as the kernel sees it |
//! | [`cpython`] | what its memory means |
//! | [`collect`] | mechanisms that turn a target into events: sampler, probe session |
//! | [`cli`] | arguments only |
//! | [`command`] | one file per subcommand |

pub mod analysis;
pub mod cli;
pub mod collect;
pub mod command;
pub mod cpython;
pub mod event;
pub mod finding;
pub mod report;
pub mod target;
pub mod trace;
