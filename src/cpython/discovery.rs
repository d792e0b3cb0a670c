//! Finding the interpreter's runtime in a process: an ordered list of named strategies, each logged with its outcome.
//! What a strategy proposes is believed only when the interpreter and thread lists behind it hang together.

mod scan;
mod version;

use std::fmt;
use std::path::{Path, PathBuf};

use racetrace_probes::version::Version;

use crate::target::address::RemoteAddr;
use crate::target::elf::{ElfError, Module};
use crate::target::maps::{self, Mapping};
use crate::target::memory::{Fault, Memory};
use crate::target::process::Process;

use super::debug_offsets;
use super::layout::Layout;
use super::python::Python;

/// A runtime that was found and checked.
#[derive(Debug)]
pub struct Runtime {
    pub at: RemoteAddr,
    pub version: Version,
    pub layout: Layout,
    /// The file that holds the interpreter.
    pub module: PathBuf,
    pub strategy: &'static str,
}

/// What one strategy came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    pub strategy: &'static str,
    pub module: PathBuf,
    pub outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Found,
    Nothing,
    /// An address was proposed, but what is there is no runtime (yet).
    Implausible,
    Failed(String),
}

/// Why no runtime was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiscoveryError {
    NotPython(PathBuf),
    PyPy,
    /// As its files or its memory name it: "3.7".
    Unsupported(String),
    /// The runtime is there, but not set up, or being torn down.
    NotReady,
    Unreachable(String),
    Gone,
}

impl fmt::Display for DiscoveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPython(path) => write!(f, "{} is not a CPython interpreter", path.display()),
            Self::PyPy => write!(f, "the process runs PyPy, whose threads cannot be read"),
            Self::Unsupported(version) => write!(f, "the process runs Python {version}, which is not supported"),
            Self::NotReady => write!(f, "the interpreter is starting up or shutting down"),
            Self::Unreachable(why) => write!(f, "cannot read the interpreter's file: {why}"),
            Self::Gone => write!(f, "the process has ended"),
        }
    }
}

impl std::error::Error for DiscoveryError {}

impl DiscoveryError {
    pub fn advice(&self) -> String {
        match self {
            Self::NotPython(_) => {
                "name the process that runs Python (a wrapper script or container start-up process is not it): `pgrep -a python`"
                    .into()
            }
            Self::PyPy => "run the program with CPython 3.8 to 3.15".into(),
            Self::Unsupported(_) => "run the program with CPython 3.8 to 3.15 (or free-threaded 3.13)".into(),
            Self::NotReady => "try again in a moment".into(),
            Self::Unreachable(_) => "run racetrace as root, so that the process's own files can be opened".into(),
            Self::Gone => "name a live process, see `pgrep -a python`".into(),
        }
    }
}

type Strategy<M> = (&'static str, fn(&Place<'_, M>) -> Vec<RemoteAddr>);

/// In this order: the cheapest and surest first.
fn strategies<M: Memory>() -> [Strategy<M>; 4] {
    [
        ("section .PyRuntime", |place| place.module.section(".PyRuntime").into_iter().collect()),
        ("symbol _PyRuntime", |place| place.module.symbols(["_PyRuntime"]).into_iter().flatten().collect()),
        ("debug-offsets cookie", scan::cookie),
        ("interpreter list in the data segment", scan::interpreter_list),
    ]
}

/// A module that may hold the interpreter, with what surrounds it.
struct Place<'a, M> {
    module: &'a Module,
    mappings: &'a [Mapping],
    memory: &'a M,
}

impl<M> Place<'_, M> {
    /// The writable data of the module, with the unnamed mapping behind it that holds what has no file (`.bss`).
    fn data(&self) -> Vec<&Mapping> {
        let mut data = Vec::new();
        let mut end = RemoteAddr::NULL;
        for mapping in self.mappings {
            let own = mapping.path.as_deref() == Some(&self.module.path);
            let bss = mapping.path.is_none() && mapping.start == end;
            end = if own || bss { mapping.end } else { RemoteAddr::NULL };
            if (own || bss) && mapping.writable && mapping.readable {
                data.push(mapping);
            }
        }
        data
    }
}

/// Looks for the runtime. The log of attempts is complete whatever comes out.
///
/// # Errors
/// The clearest reason that the attempts gave.
pub fn find<M: Memory>(process: &Process, memory: &M, log: &mut Vec<Attempt>) -> Result<Runtime, DiscoveryError> {
    let mappings = maps::read(process.pid).map_err(|_| DiscoveryError::Gone)?;
    let candidates = candidates(process, &mappings);
    let mut error = DiscoveryError::NotPython(process.executable.clone());
    for path in &candidates {
        let module = match Module::open(process.pid, path, &mappings) {
            Ok(module) => module,
            Err(ElfError::Unreachable(why)) => {
                log.push(Attempt { strategy: "open", module: path.clone(), outcome: Outcome::Failed(why.clone()) });
                error = DiscoveryError::Unreachable(why);
                continue;
            }
            Err(_) => continue,
        };
        let place = Place { module: &module, mappings: &mappings, memory };
        for (strategy, run) in strategies() {
            let mut outcome = Outcome::Nothing;
            for at in run(&place) {
                outcome = Outcome::Implausible;
                match version::identify(&place, at) {
                    Ok((version, layout)) => {
                        log.push(Attempt { strategy, module: path.clone(), outcome: Outcome::Found });
                        return Ok(Runtime { at, version, layout, module: path.clone(), strategy });
                    }
                    Err(why) => error = why,
                }
            }
            log.push(Attempt { strategy, module: path.clone(), outcome });
        }
        if !process.is_alive() {
            return Err(DiscoveryError::Gone);
        }
    }
    Err(name_the_misfit(&mappings, error))
}

/// Libraries named like Python's first, then the executable, then (for programs that embed an interpreter under
/// another name) whatever mentions Python.
fn candidates(process: &Process, mappings: &[Mapping]) -> Vec<PathBuf> {
    let mut files: Vec<&Path> =
        mappings.iter().filter_map(|mapping| mapping.path.as_deref()).filter(|path| path.is_absolute()).collect();
    files.dedup();
    let name_has = |path: &Path, what: &str| path.file_name().is_some_and(|name| name.to_string_lossy().contains(what));
    let mut chosen: Vec<PathBuf> = Vec::new();
    let libraries = files.iter().filter(|path| name_has(path, "libpython3"));
    // The first file that is mapped is the executable as the process sees it, also in another root.
    let executable = files.iter().find(|path| ***path == *process.executable || process.own_root);
    let others = files.iter().filter(|path| name_has(path, "python") && !name_has(path, "cpython-"));
    for path in libraries.chain(executable).chain(others) {
        if !chosen.iter().any(|already| already == path) {
            chosen.push(path.to_path_buf());
        }
    }
    chosen
}

fn name_the_misfit(mappings: &[Mapping], error: DiscoveryError) -> DiscoveryError {
    if !matches!(error, DiscoveryError::NotPython(_)) {
        return error;
    }
    for path in mappings.iter().filter_map(|mapping| mapping.path.as_deref()) {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.contains("pypy") {
            return DiscoveryError::PyPy;
        }
        if let Some(version) = version::in_file_name(&name)
            && !(version.0 == 3 && (Version::OLDEST..=Version::NEWEST).contains(&version.1))
        {
            return DiscoveryError::Unsupported(format!("{}.{}", version.0, version.1));
        }
    }
    error
}

/// Do interpreter, threads and modules hang together as `layout` says, and does `sys` say that it is this version? Much
/// that is no runtime has pointers that come back to themselves; none of it has `sys.hexversion`.
fn plausible<M: Memory>(memory: &M, runtime: RemoteAddr, version: Version, layout: &Layout) -> Result<bool, Fault> {
    let interpreter = memory.pointer(runtime.plus(layout.runtime.interpreters_head))?;
    if interpreter.is_null() {
        return Ok(false);
    }
    let thread = memory.pointer(interpreter.plus(layout.interpreter.threads_head))?;
    if thread.is_null() {
        return Ok(false);
    }
    if memory.pointer(thread.plus(layout.thread.interpreter))? != interpreter {
        return Ok(false);
    }
    let candidate = Runtime { at: runtime, version, layout: layout.clone(), module: PathBuf::new(), strategy: "" };
    let hex = Python::new(memory, &candidate).version_hex();
    Ok(hex.is_some_and(|hex| version::split(hex) == (3, version.minor)))
}

/// The layout of `version`, with what the interpreter says about itself.
fn layout_of(memory: &impl Memory, runtime: RemoteAddr, version: Version) -> Result<Option<Layout>, Fault> {
    let Some(mut layout) = Layout::of(version) else { return Ok(None) };
    if debug_offsets::preamble(memory, runtime)?.is_some() {
        debug_offsets::apply(memory, runtime, version.minor, &mut layout)?;
    }
    Ok(Some(layout))
}
