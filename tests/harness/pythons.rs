//! The interpreters on this machine: from `RACETRACE_PYTHONS` (a directory with `bin/pythonX.Y`), `PATH`, and pyenv. One
//! per version and flavour, the first one found.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Python {
    pub path: PathBuf,
    /// 11 for 3.11.
    pub minor: u32,
    pub free_threaded: bool,
}

impl Python {
    /// `3.13t`
    pub fn name(&self) -> String {
        format!("3.{}{}", self.minor, if self.free_threaded { "t" } else { "" })
    }
}

/// The ones that `racetrace run` supports.
pub fn supported() -> &'static [Python] {
    static FOUND: OnceLock<Vec<Python>> = OnceLock::new();
    FOUND.get_or_init(|| {
        let found: Vec<Python> = all().iter().filter(|python| python.minor >= 11).cloned().collect();
        assert!(!found.is_empty(), "no CPython from 3.11 on in RACETRACE_PYTHONS, PATH or pyenv");
        found
    })
}

/// CPython 3.8 and later, in the order of their versions.
pub fn all() -> &'static [Python] {
    static FOUND: OnceLock<Vec<Python>> = OnceLock::new();
    FOUND.get_or_init(|| {
        let mut found = BTreeMap::new();
        for path in candidates() {
            if let Some(python) = ask(&path) {
                found.entry((python.minor, python.free_threaded)).or_insert(python);
            }
        }
        let found: Vec<Python> = found.into_values().collect();
        let list: Vec<String> = found.iter().map(|python| format!("{} {}", python.name(), python.path.display())).collect();
        eprintln!("interpreters: {}", list.join(", "));
        found
    })
}

/// Interpreters that cannot be looked into, for want of a layout: `python2.7` to `python3.7`, and `pypy3`.
pub fn others() -> Vec<PathBuf> {
    let names = ["python2.7", "python3.6", "python3.7", "pypy3"];
    let directories = directories();
    let first = |name: &&str| directories.iter().map(|directory| directory.join(name)).find(|file| runs(file));
    names.iter().filter_map(first).collect()
}

fn runs(path: &Path) -> bool {
    path.is_file() && Command::new(path).args(["-c", "pass"]).output().is_ok_and(|answer| answer.status.success())
}

/// Every build that `tests/pythons/provision.sh` has written into its list, with the name of the variant.
pub fn builds() -> Vec<(String, PathBuf)> {
    let roots = std::env::var_os("RACETRACE_PYTHONS").map(PathBuf::from).into_iter();
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache/racetrace-pythons"));
    let list = roots.chain(home).find_map(|root| std::fs::read_to_string(root.join("pythons.tsv")).ok()).unwrap_or_default();
    let row = |line: &str| {
        let mut fields = line.split('\t');
        let (variant, path) = (fields.next()?.to_owned(), PathBuf::from(fields.next()?));
        path.is_file().then_some((variant, path))
    };
    list.lines().filter_map(row).collect()
}

/// Runs a test on every supported interpreter, and fails at the end with all that failed.
pub fn each_python(test: impl Fn(&Python) + std::panic::RefUnwindSafe) {
    let failed: Vec<String> = supported()
        .iter()
        .filter(|python| {
            eprintln!("--- {}", python.name());
            std::panic::catch_unwind(|| test(python)).is_err()
        })
        .map(Python::name)
        .collect();
    assert!(failed.is_empty(), "failed on {}", failed.join(", "));
}

fn candidates() -> Vec<PathBuf> {
    let directories = directories();
    let names: Vec<String> = (8..=15).flat_map(|minor| [format!("python3.{minor}"), format!("python3.{minor}t")]).collect();
    let files = directories.iter().flat_map(|directory| names.iter().map(move |name| directory.join(name)));
    files.filter(|file| file.is_file()).collect()
}

/// Where interpreters are looked for, in this order.
fn directories() -> Vec<PathBuf> {
    let mut directories = Vec::new();
    if let Some(root) = std::env::var_os("RACETRACE_PYTHONS") {
        directories.push(Path::new(&root).join("bin"));
    }
    if let Some(home) = std::env::var_os("HOME").map(PathBuf::from) {
        // Where tests/pythons/provision.sh puts what it gets.
        directories.push(home.join(".cache/racetrace-pythons/bin"));
        let mut versions: Vec<PathBuf> = std::fs::read_dir(home.join(".pyenv/versions"))
            .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).collect())
            .unwrap_or_default();
        versions.sort();
        directories.extend(versions);
    }
    directories.extend(std::env::var_os("PATH").iter().flat_map(std::env::split_paths));
    directories
}

/// What it says it is; `None` if it does not run, or is no CPython.
fn ask(path: &Path) -> Option<Python> {
    let question = "import sys, sysconfig; print(sys.implementation.name, sys.version_info[1], \
                    int(bool(sysconfig.get_config_var('Py_GIL_DISABLED'))))";
    let answer = Command::new(path).args(["-I", "-c", question]).output().ok().filter(|answer| answer.status.success())?;
    let text = String::from_utf8(answer.stdout).ok()?;
    let mut words = text.split_whitespace();
    if words.next()? != "cpython" {
        return None;
    }
    Some(Python { path: path.to_owned(), minor: words.next()?.parse().ok()?, free_threaded: words.next()? == "1" })
}
