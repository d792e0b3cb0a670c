//! Requests as pending calls, of `PyRun_SimpleString` with a text that runs the script. Whichever thread comes to a safe
//! point first makes the call.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use super::JoinError;
use crate::collect::sampler::target::Target;
use crate::cpython::pending_calls::PendingCalls;
use crate::cpython::python::ThreadState;
use crate::target::address::RemoteAddr;
use crate::target::elf::Module;
use crate::target::maps;
use crate::target::memory::{Fault, Memory, ProcessMemory, WriteMemory};

/// The ring is being changed, or full: only ever for a moment.
const TRIES: u32 = 50;
const MOMENT: Duration = Duration::from_millis(1);

/// The ring of calls, and the function to call.
#[derive(Debug)]
pub struct Entrance {
    calls: PendingCalls,
    function: RemoteAddr,
}

impl Entrance {
    pub fn find(target: &Target) -> Result<Entrance, JoinError> {
        let function = run_simple_string(target).ok_or(JoinError::Unfit)?;
        Ok(Entrance { calls: calls(target)?, function })
    }
}

#[derive(Debug)]
pub struct Request {
    memory: ProcessMemory,
    calls: PendingCalls,
    /// What the call is to run, and where it lies.
    text: Vec<u8>,
    at: RemoteAddr,
}

impl Request {
    pub fn post(target: &Target, entrance: Entrance, script: &Path) -> Result<Request, JoinError> {
        let memory = target.process.memory();
        let Entrance { calls, function } = entrance;
        let text = running(script);
        let mut last = Ok(None);
        for _ in 0..TRIES {
            last = calls.call(&memory, function, &text);
            if let Ok(Some(call)) = &last {
                // One after the other: without the last write nothing has been asked.
                memory.write_in_order(&call.writes)?;
                if calls.waits(&memory, call.text) == Ok(true) {
                    let mut request = Request { memory, calls, text, at: call.text };
                    request.renew(target);
                    return Ok(request);
                }
            }
            // The program has used the ring at the same moment.
            std::thread::sleep(MOMENT);
        }
        match last {
            Err(Fault::Unreadable(_)) => Err(JoinError::Unfit),
            Err(fault) => Err(JoinError::Memory(fault)),
            Ok(None) if text.len() > LONGEST => Err(JoinError::PathTooLong),
            Ok(_) => Err(JoinError::Busy),
        }
    }

    /// The call still waits for a thread: all that there are now are told that there is something to do.
    pub fn renew(&mut self, target: &Target) {
        if self.calls.waits(&self.memory, self.at) != Ok(true) {
            return;
        }
        let Ok(threads) = target.python.threads() else { return };
        let ours = threads.iter().filter(|thread: &&ThreadState| thread.interpreter.id == 0).map(|thread| thread.at);
        if let Ok(writes) = self.calls.wake(&self.memory, ours) {
            let _ = self.memory.write_in_order(&writes);
        }
    }
}

impl Drop for Request {
    /// The call cannot be taken back, but what it runs can: an empty text.
    fn drop(&mut self) {
        let is_ours = self.memory.bytes(self.at, self.text.len()).is_ok_and(|text| text == self.text);
        if is_ours {
            let _ = self.memory.write(self.at, &[0]);
        }
    }
}

/// The smallest ring has room for so much, wherever it stands.
const LONGEST: usize = 224;

/// Those of the main interpreter.
fn calls(target: &Target) -> Result<PendingCalls, JoinError> {
    let interpreters = target.python.interpreters()?;
    let main = interpreters.iter().find(|interpreter| interpreter.id == 0).ok_or(JoinError::Memory(Fault::Gone))?;
    PendingCalls::of(&target.runtime.layout, main.at).ok_or(JoinError::Unfit)
}

fn run_simple_string(target: &Target) -> Option<RemoteAddr> {
    let mappings = maps::read(target.process.pid).ok()?;
    let module = Module::open(target.process.pid, &target.runtime.module, &mappings).ok()?;
    let [function] = module.symbols(["PyRun_SimpleString"]);
    function
}

/// Runs a script in a namespace of its own. The text itself runs in the program's `__main__`, whose names may mean anything
/// and where it may leave none; and it must not fail.
fn running(script: &Path) -> Vec<u8> {
    let path = script.as_os_str().as_bytes().escape_ascii();
    let read = "(lambda f:(f.read(),f.close())[0])";
    let text = format!("try:(lambda b:b.exec({read}(b.open(b'{path}')),{{}}))(__import__('builtins'))\nexcept:pass\n\0");
    text.into_bytes()
}
