//! Stacks of interpreters that are not laid out here (2.7, 3.3 to 3.7), to be shown to a person: the only module that knows
//! py-spy. It reads without stopping anything; a stack that was caught in the middle of a call can be wrong, so that
//! nothing here is evidence.

use py_spy::config::LockingStrategy;
use py_spy::{Config, PythonSpy};

/// The threads of an interpreter as py-spy sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stacks {
    /// `2.7.18`
    pub version: String,
    pub threads: Vec<Thread>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    pub ident: u64,
    /// The kernel's id, where the interpreter knows it.
    pub native: Option<u64>,
    pub name: Option<String>,
    pub holds_gil: bool,
    /// Innermost first.
    pub frames: Vec<Frame>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub file: String,
    pub line: i32,
    pub function: String,
}

/// Reads the stacks of all threads once.
///
/// # Errors
/// py-spy's own words, when it cannot read the process either.
pub fn stacks(pid: u32) -> Result<Stacks, String> {
    // py-spy enters the mount namespace of a process in a container: in a thread of its own, that is over with the thread.
    let reading = std::thread::Builder::new().name("py-spy".into()).spawn(move || read(pid));
    let reading = reading.map_err(|error| error.to_string())?;
    reading.join().unwrap_or_else(|_| Err("py-spy broke off".into()))
}

fn read(pid: u32) -> Result<Stacks, String> {
    let config = Config { blocking: LockingStrategy::NonBlocking, native: false, ..Config::default() };
    let pid = py_spy::Pid::try_from(pid).map_err(|error| error.to_string())?;
    let mut spy = PythonSpy::new(pid, &config).map_err(|error| format!("{error:#}"))?;
    let traces = spy.get_stack_traces().map_err(|error| format!("{error:#}"))?;
    let frame = |frame: py_spy::Frame| Frame { file: frame.filename, line: frame.line, function: frame.name };
    let thread = |trace: py_spy::StackTrace| Thread {
        ident: trace.thread_id,
        native: trace.os_thread_id,
        name: trace.thread_name,
        holds_gil: trace.owns_gil,
        frames: trace.frames.into_iter().map(frame).collect(),
    };
    let version = &spy.version;
    let version = format!("{}.{}.{}{}", version.major, version.minor, version.patch, version.release_flags);
    Ok(Stacks { version, threads: traces.into_iter().map(thread).collect() })
}
