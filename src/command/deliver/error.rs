//! What can go wrong while a report is delivered, and the advice for it.

use crate::finding::policy::baseline::BaselineError;
use crate::finding::policy::config::ConfigError;
use crate::report::Format;
use std::fmt;
use std::io;
use std::path::PathBuf;

#[derive(Debug)]
pub enum DeliverError {
    Read(PathBuf, io::Error),
    Write(PathBuf, io::Error),
    Print(io::Error),
    Config(PathBuf, ConfigError),
    Baseline(PathBuf, BaselineError),
    TwoOnOneStream(Format, Format),
}

impl fmt::Display for DeliverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeliverError::Read(path, error) => write!(f, "cannot read {}: {error}", path.display()),
            DeliverError::Write(path, error) => write!(f, "cannot write the report to {}: {error}", path.display()),
            DeliverError::Print(error) => write!(f, "cannot print the report: {error}"),
            DeliverError::Config(path, error) => write!(f, "cannot use {}: {error}", path.display()),
            DeliverError::Baseline(path, error) => write!(f, "cannot use the baseline {}: {error}", path.display()),
            DeliverError::TwoOnOneStream(first, second) => {
                write!(f, "formats {first} and {second} would both go to the terminal")
            }
        }
    }
}

impl std::error::Error for DeliverError {}

impl DeliverError {
    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            DeliverError::Read(..) => "check the path and that you may read it",
            DeliverError::Write(..) => "name a file in a directory that exists and that you may write to: --output FILE",
            DeliverError::Print(_) => "write the report to a file: --output FILE",
            DeliverError::Config(..) => "correct the file, or name another one: --config FILE",
            DeliverError::Baseline(..) => "write it anew: --write-baseline FILE",
            DeliverError::TwoOnOneStream(..) => {
                "give each format its own file: --format A --output FILE --format B --output FILE"
            }
        }
    }
}
