//! Asking an interpreter that runs already to run a script, at the next moment at which one of its threads may be
//! interrupted safely. What the script does, and whether it has done it, is known elsewhere.
//!
//! | module | how |
//! |---|---|
//! | [`debugger`] | through the interface that interpreters offer to debuggers (PEP 768, CPython 3.14 and later) |
//! | [`pending`] | as a pending call (CPython 3.12 and 3.13) |

mod debugger;
mod pending;

use std::fmt;
use std::path::Path;

use crate::collect::sampler::target::Target;
use crate::cpython::debug_offsets::DebuggerSupport;
use crate::target::memory::Fault;
use crate::target::process::Process;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JoinError {
    /// The version, as people write it.
    TooOld(String),
    FreeThreaded,
    SwitchedOff,
    /// In a place where it would not find what is laid down for it.
    Elsewhere,
    /// What others have asked for has not been done yet.
    Busy,
    PathTooLong,
    Unfit,
    Memory(Fault),
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooOld(version) => {
                write!(f, "CPython {version} takes no probes while it runs: 3.12 is the first that does")
            }
            Self::FreeThreaded => {
                write!(f, "a free-threaded build takes no probes while it runs: its threads cannot be held still")
            }
            Self::SwitchedOff => {
                write!(f, "the process was started with -X disable-remote-debug or PYTHON_DISABLE_REMOTE_DEBUG")
            }
            Self::Elsewhere => write!(f, "it is in a container or another root directory"),
            Self::Busy => write!(f, "what another debugger has asked for is still pending"),
            Self::PathTooLong => write!(f, "the path of the session's directory is too long for the interpreter"),
            Self::Unfit => write!(f, "its interpreter was built in an unusual way"),
            Self::Memory(Fault::Gone) => write!(f, "the process has ended"),
            Self::Memory(_) => write!(f, "the memory of the process cannot be written"),
        }
    }
}

impl std::error::Error for JoinError {}

impl From<Fault> for JoinError {
    fn from(fault: Fault) -> Self {
        JoinError::Memory(fault)
    }
}

impl JoinError {
    pub fn advice(&self) -> &'static str {
        match self {
            Self::PathTooLong => "set TMPDIR to a directory with a short path",
            Self::Elsewhere => "start racetrace in there, or leave --probe out to look in by sampling",
            Self::Busy => "try again once the other debugger is done",
            Self::Memory(_) => "racetrace doctor PID says what is allowed",
            Self::TooOld(_) | Self::FreeThreaded | Self::SwitchedOff | Self::Unfit => {
                "leave --probe out to look in by sampling, or start the program with `racetrace run -- COMMAND`, which is exact"
            }
        }
    }
}

/// How an interpreter takes requests.
#[derive(Debug)]
pub struct Entrance(Mechanism);

#[derive(Debug)]
enum Mechanism {
    Debugger(DebuggerSupport),
    Pending(pending::Entrance),
}

impl Entrance {
    /// Writes nothing.
    ///
    /// # Errors
    /// Why the interpreter takes no requests.
    pub fn find(target: &Target) -> Result<Entrance, JoinError> {
        let version = target.runtime.version;
        if version.free_threaded {
            return Err(JoinError::FreeThreaded);
        }
        if version.minor < 12 {
            return Err(JoinError::TooOld(format!("3.{}.{}", version.minor, target.micro)));
        }
        if is_elsewhere(&target.process) {
            return Err(JoinError::Elsewhere);
        }
        Ok(Entrance(if version.minor < 14 {
            Mechanism::Pending(pending::Entrance::find(target)?)
        } else {
            Mechanism::Debugger(debugger::support(target)?)
        }))
    }

    /// Asks all threads of the main interpreter to run a script.
    ///
    /// # Errors
    /// Why they cannot be asked.
    pub fn ask(self, target: &Target, script: &Path) -> Result<Request, JoinError> {
        Ok(match self.0 {
            Mechanism::Debugger(support) => Request::Debugger(debugger::Request::post(target, support, script)?),
            Mechanism::Pending(entrance) => Request::Pending(pending::Request::post(target, entrance, script)?),
        })
    }
}

fn is_elsewhere(process: &Process) -> bool {
    let namespace = |pid: &str, name: &str| std::fs::read_link(format!("/proc/{pid}/ns/{name}")).ok();
    let pid = process.pid.to_string();
    let is_ours = |name: &str| namespace(&pid, name).is_none_or(|its| namespace("self", name) == Some(its));
    process.own_root || !is_ours("mnt") || !is_ours("pid")
}

/// A request that stands until a thread of the process has seen it, or until this is dropped.
#[derive(Debug)]
pub enum Request {
    Debugger(debugger::Request),
    Pending(pending::Request),
}

impl Request {
    /// Asks those threads too that have begun since.
    pub fn renew(&mut self, target: &Target, script: &Path) {
        match self {
            Request::Debugger(request) => request.renew(target, script),
            Request::Pending(request) => request.renew(target),
        }
    }
}
