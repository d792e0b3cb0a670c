//! Asking an interpreter that runs already to run a script, through the interface that it offers to debuggers (PEP 768,
//! CPython 3.14 and later): a path and a flag in each thread's state, which a thread looks at where it may be interrupted
//! safely. What the script does, and whether it has done it, is known elsewhere.

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::collect::sampler::target::Target;
use crate::cpython::debug_offsets::{DebuggerSupport, debugger_support};
use crate::target::address::RemoteAddr;
use crate::target::memory::{Fault, Memory, ProcessMemory, WriteMemory};

/// `_PY_EVAL_PLEASE_STOP_BIT` of pycore_ceval.h: in the lowest byte of the word.
const PLEASE_STOP: u8 = 1 << 5;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JoinError {
    /// The version, as people write it.
    TooOld(String),
    FreeThreaded,
    SwitchedOff,
    /// Another debugger has asked for something that has not been done yet.
    Busy,
    PathTooLong,
    Memory(Fault),
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooOld(version) => {
                write!(f, "CPython {version} takes no probes while it runs: that came with 3.14")
            }
            Self::FreeThreaded => {
                write!(f, "a free-threaded build takes no probes while it runs: its threads cannot be held still")
            }
            Self::SwitchedOff => {
                write!(f, "the process was started with -X disable-remote-debug or PYTHON_DISABLE_REMOTE_DEBUG")
            }
            Self::Busy => write!(f, "another debugger's request is pending in every thread"),
            Self::PathTooLong => write!(f, "the path of the session's directory is too long for the interpreter"),
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
            Self::Busy => "try again once the other debugger is done",
            Self::Memory(_) => "racetrace doctor PID says what is allowed",
            Self::TooOld(_) | Self::FreeThreaded | Self::SwitchedOff => {
                "leave --probe out to look in by sampling, or start the program with `racetrace run -- COMMAND`, which is exact"
            }
        }
    }
}

/// A request that stands in the threads of a process until they have seen it, or until this is dropped.
#[derive(Debug)]
pub struct Request {
    memory: ProcessMemory,
    /// Where the flags of those threads are that were asked.
    flags: Vec<RemoteAddr>,
}

impl Request {
    /// Asks all threads of the main interpreter.
    ///
    /// # Errors
    /// Why the interpreter takes no requests.
    pub fn post(target: &Target, script: &Path) -> Result<Request, JoinError> {
        let memory = target.process.memory();
        let support = support(target, &memory)?;
        let mut path = script.as_os_str().as_bytes().to_vec();
        path.push(0);
        if path.len() as u64 > support.script_path_size {
            return Err(JoinError::PathTooLong);
        }
        let mut request = Request { memory, flags: Vec::new() };
        for thread in target.python.threads()?.iter().filter(|thread| thread.interpreter.id == 0) {
            let flag = thread.at.plus(support.pending_call);
            if memory.u32(flag)? != 0 {
                continue;
            }
            memory.write(thread.at.plus(support.script_path), &path)?;
            memory.write(flag, &1_u32.to_ne_bytes())?;
            request.flags.push(flag);
            // The thread may set other bits at the same moment, and lose one: those are set again as long as there is need.
            let breaker = thread.at.plus(support.eval_breaker);
            memory.write(breaker, &[memory.u8(breaker)? | PLEASE_STOP])?;
        }
        if request.flags.is_empty() { Err(JoinError::Busy) } else { Ok(request) }
    }
}

impl Drop for Request {
    /// Who has not seen it yet will not.
    fn drop(&mut self) {
        for flag in &self.flags {
            if self.memory.u32(*flag) == Ok(1) {
                let _ = self.memory.write(*flag, &0_u32.to_ne_bytes());
            }
        }
    }
}

fn support(target: &Target, memory: &ProcessMemory) -> Result<DebuggerSupport, JoinError> {
    let version = target.runtime.version;
    let shown = || format!("3.{}.{}", version.minor, target.micro);
    let support = debugger_support(memory, target.runtime.at, version.minor)?.ok_or_else(|| JoinError::TooOld(shown()))?;
    if version.free_threaded {
        return Err(JoinError::FreeThreaded);
    }
    let interpreters = target.python.interpreters()?;
    let main = interpreters.iter().find(|interpreter| interpreter.id == 0).ok_or(JoinError::Memory(Fault::Gone))?;
    if memory.u32(main.at.plus(support.enabled))? != 1 {
        return Err(JoinError::SwitchedOff);
    }
    Ok(support)
}
