//! Requests through the interface for debuggers: a path and a flag in each thread's state.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::JoinError;
use crate::collect::sampler::target::Target;
use crate::cpython::debug_offsets::{DebuggerSupport, debugger_support};
use crate::target::address::RemoteAddr;
use crate::target::memory::{Fault, Memory, ProcessMemory, WriteMemory};

/// `_PY_EVAL_PLEASE_STOP_BIT` of pycore_ceval.h: in the lowest byte of the word.
const PLEASE_STOP: u8 = 1 << 5;

#[derive(Debug)]
pub struct Request {
    memory: ProcessMemory,
    support: DebuggerSupport,
    /// Where the flags of those threads are that were asked.
    flags: Vec<RemoteAddr>,
}

impl Request {
    pub fn post(target: &Target, support: DebuggerSupport, script: &Path) -> Result<Request, JoinError> {
        let mut request = Request { memory: target.process.memory(), support, flags: Vec::new() };
        request.ask(target, script)?;
        if request.flags.is_empty() { Err(JoinError::Busy) } else { Ok(request) }
    }

    pub fn renew(&mut self, target: &Target, script: &Path) {
        self.withdraw();
        let _ = self.ask(target, script);
    }

    fn ask(&mut self, target: &Target, script: &Path) -> Result<(), JoinError> {
        let mut path = script.as_os_str().as_bytes().to_vec();
        path.push(0);
        if path.len() as u64 > self.support.script_path_size {
            return Err(JoinError::PathTooLong);
        }
        for thread in target.python.threads()?.iter().filter(|thread| thread.interpreter.id == 0) {
            let flag = thread.at.plus(self.support.pending_call);
            if self.memory.u32(flag)? != 0 {
                continue;
            }
            self.memory.write(thread.at.plus(self.support.script_path), &path)?;
            self.memory.write(flag, &1_u32.to_ne_bytes())?;
            self.flags.push(flag);
            // The thread may set other bits at the same moment, and lose one: those are set again as long as there is need.
            let breaker = thread.at.plus(self.support.eval_breaker);
            self.memory.write(breaker, &[self.memory.u8(breaker)? | PLEASE_STOP])?;
        }
        Ok(())
    }

    /// Who has not seen it yet will not.
    fn withdraw(&mut self) {
        for flag in self.flags.drain(..) {
            if self.memory.u32(flag) == Ok(1) {
                let _ = self.memory.write(flag, &0_u32.to_ne_bytes());
            }
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.withdraw();
    }
}

/// Where the interface lies, if there is one and it may be used.
pub fn support(target: &Target) -> Result<DebuggerSupport, JoinError> {
    let memory = target.process.memory();
    let support = debugger_support(&memory, target.runtime.at, target.runtime.version.minor)?.ok_or(JoinError::Unfit)?;
    let interpreters = target.python.interpreters()?;
    let main = interpreters.iter().find(|interpreter| interpreter.id == 0).ok_or(JoinError::Memory(Fault::Gone))?;
    if memory.u32(main.at.plus(support.enabled))? != 1 {
        return Err(JoinError::SwitchedOff);
    }
    Ok(support)
}
