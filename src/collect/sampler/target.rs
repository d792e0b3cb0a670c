//! A process that is looked into: found, identified, and readable. Errors say what to do about them.

use std::fmt;

use crate::cpython::code::Specialisation;
use crate::cpython::discovery::{self, Attempt, DiscoveryError, Runtime};
use crate::cpython::python::Python;
use crate::target::memory::ProcessMemory;
use crate::target::process::{Process, ProcessError};

use super::codes::Codes;

/// Why a process cannot be looked into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttachError {
    Process(ProcessError),
    Discovery(u32, DiscoveryError),
}

impl fmt::Display for AttachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(error) => error.fmt(f),
            Self::Discovery(pid, error) => write!(f, "cannot attach to process {pid}: {error}"),
        }
    }
}

impl std::error::Error for AttachError {}

impl AttachError {
    pub fn advice(&self) -> String {
        match self {
            Self::Process(error) => error.advice(),
            Self::Discovery(_, error) => error.advice(),
        }
    }
}

/// A live interpreter with everything needed to read it.
#[derive(Debug)]
pub struct Target {
    pub process: Process,
    pub python: Python<ProcessMemory>,
    pub codes: Codes,
    pub runtime: Runtime,
    pub micro: u8,
}

impl Target {
    /// Finds the interpreter in `pid`. `log` receives every strategy that was tried.
    ///
    /// # Errors
    /// One clear reason.
    pub fn open(pid: u32, log: &mut Vec<Attempt>) -> Result<Target, AttachError> {
        let process = Process::open(pid).map_err(AttachError::Process)?;
        let memory = process.memory();
        let runtime = discovery::find(&process, &memory, log).map_err(|error| match error {
            DiscoveryError::Gone => AttachError::Process(ProcessError::NoSuchProcess(pid)),
            error => AttachError::Discovery(pid, error),
        })?;
        let python = Python::new(memory, &runtime);
        let micro = python.micro().unwrap_or(0);
        let codes = Codes::new(Specialisation::of(python.version));
        Ok(Target { process, python, codes, runtime, micro })
    }
}
