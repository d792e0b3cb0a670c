//! What interpreters leave behind where the agent could not be loaded: one file a process, a line a reason. It turns them
//! into sentences; it does not look for interpreters that could not even say that.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Why a process, or several, could not be watched.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// `PyPy 3.10.14`, `CPython 3.9.18`.
    pub what: String,
    pub why: String,
}

/// A note is short; whatever is longer is not one of ours.
const LONGEST: u64 = 4096;

/// The notes in that directory, sorted, each reason once.
pub fn read(directory: &Path) -> BTreeSet<Note> {
    let Ok(entries) = fs::read_dir(directory) else { return BTreeSet::new() };
    let files = entries.filter_map(Result::ok).filter(|entry| entry.metadata().is_ok_and(|file| file.len() <= LONGEST));
    let texts = files.filter_map(|entry| fs::read(entry.path()).ok());
    texts.flat_map(|text| String::from_utf8_lossy(&text).lines().map(note).collect::<Vec<_>>()).collect()
}

fn note(line: &str) -> Note {
    match line.split_once(": ") {
        Some(("unsupported", interpreter)) => {
            let why = "racetrace run watches CPython 3.11 to 3.15; use one of these, or look into the running process with racetrace --pid";
            Note { what: named(interpreter), why: why.to_owned() }
        }
        Some(("failed", rest)) => {
            let (interpreter, reason) = rest.split_once(": ").unwrap_or((rest, "unknown reason"));
            Note { what: named(interpreter), why: format!("the agent could not be loaded: {reason}") }
        }
        Some(("joined", why)) => Note { what: "the process".to_owned(), why: why.to_owned() },
        _ => Note { what: "an interpreter".to_owned(), why: line.to_owned() },
    }
}

/// From `sys.implementation.name` and version to the name that people use.
fn named(interpreter: &str) -> String {
    let (name, version) = interpreter.split_once(' ').unwrap_or((interpreter, ""));
    let name = match name {
        "cpython" => "CPython",
        "pypy" => "PyPy",
        "graalpy" => "GraalPy",
        "python" => "Python",
        other => other,
    };
    format!("{name} {version}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_name_the_interpreter_and_the_reason() {
        let old = note("unsupported: pypy 3.10.14");
        assert_eq!(old.what, "PyPy 3.10.14");
        assert!(old.why.contains("CPython 3.11"), "{}", old.why);
        let failed = note("failed: cpython 3.12.1: ImportError: x.so: cannot open shared object file");
        assert_eq!(failed.what, "CPython 3.12.1");
        assert_eq!(failed.why, "the agent could not be loaded: ImportError: x.so: cannot open shared object file");
        assert_eq!(note("gibberish").why, "gibberish");
    }
}
