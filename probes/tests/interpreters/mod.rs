//! The Python interpreters on this machine, and code objects compiled by them. It does not look at what is in the code.
#![allow(dead_code, reason = "each test program uses its part")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use racetrace_probes::code::{Code, Const};
use racetrace_probes::version::Version;

#[derive(Debug, Clone)]
pub struct Interpreter {
    pub path: PathBuf,
    pub version: Version,
}

/// One interpreter for each version and flavour. Panics if there is none at all.
pub fn all() -> &'static [Interpreter] {
    static FOUND: OnceLock<Vec<Interpreter>> = OnceLock::new();
    let found = FOUND.get_or_init(find);
    assert!(!found.is_empty(), "no CPython 3.8-3.15 found in PATH, ~/.pyenv, nor in RACETRACE_PYTHONS");
    found
}

fn find() -> Vec<Interpreter> {
    let mut candidates: Vec<PathBuf> = Vec::new();
    let mut folders: Vec<PathBuf> = std::env::var_os("RACETRACE_PYTHONS").map(PathBuf::from).into_iter().collect();
    if let Some(home) = std::env::var_os("HOME").map(PathBuf::from) {
        let versions = std::fs::read_dir(home.join(".pyenv/versions")).into_iter().flatten().flatten();
        folders.extend(versions.map(|version| version.path().join("bin")));
        folders.push(home.join(".cache/racetrace-pythons/bin"));
    }
    folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    for folder in folders {
        for minor in Version::OLDEST..=Version::NEWEST {
            candidates.extend(["", "t"].map(|flavour| folder.join(format!("python3.{minor}{flavour}"))));
        }
    }
    let mut found = BTreeMap::new();
    for path in candidates.into_iter().filter(|path| path.exists()) {
        if let Some(version) = ask_version(&path) {
            found.entry(version).or_insert(Interpreter { path, version });
        }
    }
    let found: Vec<_> = found.into_values().collect();
    eprintln!("interpreters: {}", found.iter().map(|one| one.path.display().to_string()).collect::<Vec<_>>().join(" "));
    found
}

pub fn ask_version(path: &Path) -> Option<Version> {
    let script = "import sys, sysconfig; print(sys.implementation.name, *sys.version_info[:2], sysconfig.get_config_var('Py_GIL_DISABLED') or 0)";
    let output = Command::new(path).args(["-I", "-c", script]).output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    let [name, major, minor, free_threaded] = said.split_whitespace().collect::<Vec<_>>()[..] else { return None };
    let minor = minor.parse().ok().filter(|minor| (Version::OLDEST..=Version::NEWEST).contains(minor))?;
    (name == "cpython" && major == "3").then(|| Version { minor, free_threaded: free_threaded == "1" })
}

/// A code object, and the lines that the interpreter itself assigns to its code units.
#[derive(Debug, Default)]
pub struct Dumped {
    pub code: Code,
    pub lines: Vec<String>,
}

/// Every code object in `source`, outermost first.
pub fn compile(interpreter: &Interpreter, source: &str) -> Vec<Dumped> {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let file = std::env::temp_dir().join(format!("racetrace-plan-{}-{number}.py", std::process::id()));
    std::fs::write(&file, source).expect("the temporary directory is writable");
    let dumped = dump(interpreter, &[file.to_str().expect("a readable path"), "--lines"]);
    std::fs::remove_file(&file).expect("it was just written");
    dumped
}

/// What `dump.py` prints for these arguments.
pub fn dump(interpreter: &Interpreter, arguments: &[&str]) -> Vec<Dumped> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interpreters/dump.py");
    let output = Command::new(&interpreter.path).arg("-I").arg(script).args(arguments).output().expect("the interpreter starts");
    assert!(output.status.success(), "{}: {}", interpreter.path.display(), String::from_utf8_lossy(&output.stderr));
    parse(std::str::from_utf8(&output.stdout).expect("ASCII"))
}

fn parse(text: &str) -> Vec<Dumped> {
    let mut all = Vec::new();
    let mut dumped = Dumped::default();
    for line in text.lines() {
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        let code = &mut dumped.code;
        let number = || value.parse().expect("a number");
        match key {
            "filename" => code.filename = string(value),
            "name" => code.name = string(value),
            "qualname" => code.qualname = string(value),
            "first_line" => code.first_line = number(),
            "flags" => code.flags = number(),
            "argcount" => code.argcount = number(),
            "posonly" => code.posonly = number(),
            "kwonly" => code.kwonly = number(),
            "stacksize" => code.stacksize = number(),
            "bytecode" => code.bytecode = hex(value),
            "names" => code.names = value.split_whitespace().map(|name| string(&name[1..])).collect(),
            "locals" => code.locals = value.split_whitespace().map(|name| string(&name[1..])).collect(),
            "nlocals" => code.nlocals = number(),
            "ncells" => code.ncells = number(),
            "nfrees" => code.nfrees = number(),
            "consts" => code.consts = constants(&mut value.split_whitespace().peekable()),
            "line_table" => code.line_table = hex(value),
            "exception_table" => code.exception_table = hex(value),
            "lines" => dumped.lines = value.split_whitespace().map(str::to_owned).collect(),
            _ => all.push(std::mem::take(&mut dumped)),
        }
    }
    all
}

fn constants<'a>(words: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>) -> Vec<Const> {
    let mut all = Vec::new();
    let mut open: Vec<Vec<Const>> = Vec::new();
    for word in words {
        let mut rest = word;
        while let Some(inner) = rest.strip_prefix('(') {
            open.push(std::mem::take(&mut all));
            rest = inner;
        }
        if rest.starts_with(')') {
            let items = std::mem::replace(&mut all, open.pop().expect("balanced"));
            all.push(Const::Tuple(items));
            continue;
        }
        all.push(match rest.split_at(1) {
            ("N", _) => Const::None,
            ("T", _) => Const::Bool(true),
            ("F", _) => Const::Bool(false),
            ("I", number) => Const::Int(number.parse().expect("a number")),
            ("S", hexed) => Const::Text(string(hexed)),
            _ => Const::Other,
        });
    }
    all
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("hexadecimal")).collect()
}

fn string(text: &str) -> String {
    String::from_utf8_lossy(&hex(text)).into_owned()
}
