//! A process that is looked into: found, identified, and readable. Errors say what to do about them.

use std::fmt;

use crate::cpython::code::Specialisation;
use crate::cpython::discovery::{self, Attempt, DiscoveryError, Runtime};
use crate::cpython::python::{Interpreter, Python, ThreadState};
use crate::cpython::task::{TaskLayout, TaskLists};
use crate::target::address::RemoteAddr;
use crate::target::descendants;
use crate::target::elf::Module;
use crate::target::maps;
use crate::target::memory::{Fault, Memory, ProcessMemory};
use crate::target::process::{Process, ProcessError};
use crate::target::program::Program;
use crate::target::view::View;

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
            Self::Discovery(pid, error @ DiscoveryError::NotPython(_)) => match descendants::running(*pid, "python").first() {
                Some(child) => format!("name the process below it that runs Python: `racetrace --pid {}`", child.pid),
                None => error.advice(),
            },
            Self::Discovery(pid, error @ DiscoveryError::Unsupported(_)) => {
                format!("{}; its stacks are shown by `racetrace doctor --stacks {pid}`", error.advice())
            }
            Self::Discovery(_, error) => error.advice(),
        }
    }
}

/// A live interpreter with everything needed to read it.
#[derive(Debug)]
pub struct Target {
    pub process: Process,
    pub python: Python<View<ProcessMemory>>,
    pub codes: Codes,
    pub runtime: Runtime,
    pub micro: u8,
    /// What it runs now: after an `exec` nothing that is known of it is right any more.
    pub program: Program,
    /// Where asyncio keeps its tasks (3.14+).
    pub task_lists: Option<TaskLists>,
}

impl Target {
    /// The addresses of all asyncio tasks of an interpreter.
    ///
    /// # Errors
    /// When asyncio's registers cannot be read.
    pub fn task_addresses(&self, interpreter: Interpreter, threads: &[ThreadState]) -> Result<Vec<RemoteAddr>, Fault> {
        self.python.task_addresses(interpreter, threads, self.task_lists)
    }

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
        let program = Program::of(pid, runtime.at).map_err(|_| AttachError::Process(process.refusal()))?;
        let python = Python::new(View::of(memory), &runtime);
        let micro = python.micro().unwrap_or(0);
        let codes = Codes::new(Specialisation::of(python.version));
        let task_lists = task_lists(&process, python.version.minor, &memory);
        Ok(Target { process, python, codes, runtime, micro, program, task_lists })
    }
}

/// Where asyncio keeps its tasks, from `_AsyncioDebug`: the first bytes of section `.AsyncioDebug` in asyncio's C part (or in an interpreter that has it
/// built in): `{task {size, name, awaited_by, is_task, awaited_by_is_set, coro, node}, interpreter {size, head},
/// thread {size, loop, task, head}}`, each a word.
pub fn task_lists<M: Memory>(process: &Process, minor: u8, memory: &M) -> Option<TaskLists> {
    if minor < 14 {
        return None;
    }
    let mappings = maps::read(process.pid).ok()?;
    let mut files: Vec<_> =
        mappings.iter().filter_map(|mapping| mapping.path.as_deref()).filter(|path| path.is_absolute()).collect();
    files.dedup();
    let may_have_it = |path: &&std::path::Path| {
        path.file_name().is_some_and(|name| {
            let name = name.to_string_lossy();
            name.starts_with("_asyncio") || name.contains("libpython") || name.starts_with("python")
        })
    };
    let section = files.into_iter().filter(may_have_it).find_map(|path| {
        let [symbol] = [Module::open(process.pid, path, &mappings).ok()?.section(".AsyncioDebug")];
        symbol
    })?;
    let bytes = memory.bytes(section, 13 * 8).ok()?;
    let words: Vec<u64> = bytes.as_chunks().0.iter().map(|&word| u64::from_ne_bytes(word)).collect();
    let [_, name, _, _, _, coroutine, node_in_task, _, head_in_interpreter, _, _, _, head_in_thread] = words[..] else {
        return None;
    };
    let sane = [name, coroutine, node_in_task, head_in_interpreter, head_in_thread].iter().all(|offset| *offset < 1 << 24);
    sane.then_some(TaskLists {
        node_in_task,
        head_in_interpreter,
        head_in_thread,
        layout: TaskLayout { coroutine, waiter: coroutine.wrapping_sub(8), name },
    })
}
