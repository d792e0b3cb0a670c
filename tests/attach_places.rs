//! Interpreters wherever and however they were built: static and shared, stripped, without section headers, in virtual
//! environments, under other roots and in other namespaces. Each way of finding the runtime is met by one that only it
//! finds. What is found in the programs is not looked at.

mod harness;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::Python;
use harness::pythons::{all, builds};
use harness::session::racetrace;
use harness::target::{Target, everywhere, look_at};
use racetrace::target::descendants;

const WAITING: &str = "
import sys, threading, time
done = threading.Event()
for _ in range(3):
    threading.Thread(target=done.wait).start()
print('ready', flush=True)
sys.stdin.readline()
done.set()
print('done', flush=True)
";

/// The doctor's answer, which must be that it may attach.
fn examined(pid: &str) -> String {
    let output = racetrace().args(["doctor", pid]).output().expect("racetrace runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("may attach     yes"), "{text}");
    text
}

/// Looks into it, sees all its threads, and lets it go on.
fn is_looked_into(name: &str, target: &mut Target, pid: &str) {
    let (_, report) = look_at(pid, &["--duration", "200ms"]);
    assert!(report["coverage"]["samples"].as_u64() >= Some(1), "{name}: {report:#}");
    assert_eq!(report["coverage"]["threads"].as_u64(), Some(4), "{name}: {report:#}");
    assert_eq!(report["coverage"]["dropped"].as_u64(), Some(0), "{name}: {report:#}");
    target.say("end\n");
    target.wait_for("done");
}

#[test]
fn every_build_that_was_provisioned() {
    for (variant, path) in builds() {
        eprintln!("--- {variant}");
        // Under another root there is no file of ours.
        let mut target = Target::inline(&mut Command::new(&path), WAITING);
        let pid = target.pid();
        let text = examined(&pid);
        let version = variant.split(['-', 't', 'd']).next().expect("a version");
        assert!(text.contains(&format!("CPython {version}.")), "{variant}: {text}");
        if variant.ends_with("chroot") || variant.ends_with("container") {
            assert!(text.contains("its own root directory"), "{variant}: {text}");
        }
        is_looked_into(&variant, &mut target, &pid);
    }
}

#[test]
fn a_process_in_namespaces_of_its_own() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: needs root");
        return;
    }
    everywhere(|python| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]).arg(&python.path);
        let mut target = Target::start_by(&mut command, WAITING);
        let below = descendants::running(target.child.id(), "python");
        let pid = below.first().expect("python below unshare").pid.to_string();
        let text = examined(&pid);
        assert!(text.contains("its own process ids; it knows itself as 1"), "{text}");
        assert!(!text.contains("have no id that the kernel knows"), "{text}");
        is_looked_into(&python.name(), &mut target, &pid);
    });
}

#[test]
fn a_virtual_environment() {
    everywhere(|python| {
        for way in ["--symlinks", "--copies"] {
            let home = tempfile::tempdir().expect("a directory");
            let made = Command::new(&python.path).args(["-m", "venv", "--without-pip", way]).arg(home.path()).status();
            let runs = || Command::new(home.path().join("bin/python")).args(["-c", "import threading"]).output();
            if !made.is_ok_and(|status| status.success()) || !runs().is_ok_and(|output| output.status.success()) {
                eprintln!("skipped: {} makes no virtual environment with {way}", python.name());
                continue;
            }
            let mut target = Target::start_by(&mut Command::new(home.path().join("bin/python")), WAITING);
            let pid = target.pid();
            examined(&pid);
            is_looked_into(&python.name(), &mut target, &pid);
        }
    });
}

/// A copy of an interpreter, changed in its file. The libraries of the original are used.
struct Changed {
    home: tempfile::TempDir,
    program: PathBuf,
    python: Python,
}

impl Changed {
    /// `change` is given the contents of the file that holds the interpreter: the program itself, or its library.
    fn new(python: &Python, change: impl Fn(&mut Vec<u8>)) -> Changed {
        let home = tempfile::tempdir().expect("a directory");
        let original = fs::canonicalize(&python.path).expect("it exists");
        let copy = home.path().join(original.file_name().expect("a file"));
        fs::copy(&original, &copy).expect("it can be copied");
        let library = library_of(&original);
        let changed = match &library {
            Some(library) => home.path().join(library.file_name().expect("a file")),
            None => copy.clone(),
        };
        let mut bytes = fs::read(library.as_ref().unwrap_or(&original)).expect("it can be read");
        change(&mut bytes);
        fs::write(&changed, bytes).expect("our own directory");
        Changed { home, program: copy, python: python.clone() }
    }

    fn command(&self) -> Command {
        let asked = "import sys; print(sys.base_prefix, sys.base_exec_prefix, sep=':')";
        let home = Command::new(&self.python.path).args(["-c", asked]).output().expect("it runs").stdout;
        let mut command = Command::new(&self.program);
        command.env("PYTHONHOME", String::from_utf8_lossy(&home).trim()).env("LD_LIBRARY_PATH", self.home.path());
        command
    }
}

/// The libpython that a program is linked to, as the loader finds it.
fn library_of(program: &Path) -> Option<PathBuf> {
    let listed = Command::new("ldd").arg(program).output().ok()?;
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    let line = text.lines().find(|line| line.contains("libpython3."))?;
    Some(PathBuf::from(line.split("=>").nth(1)?.split_whitespace().next()?))
}

/// Says that there are no section headers, as `sstrip` and packers do.
fn without_sections(file: &mut [u8]) {
    // e_shoff, then e_shnum and e_shstrndx, of the 64-bit ELF header.
    file[0x28..0x30].fill(0);
    file[0x3c..0x40].fill(0);
}

/// Gives the symbol of the runtime another name, everywhere, with the same hash: the loader finds it, by name nobody does.
fn without_symbol(file: &mut [u8]) {
    let name = b"\0_PyRuntime\0";
    let places: Vec<usize> = file.windows(name.len()).enumerate().filter(|(_, part)| part == name).map(|(at, _)| at).collect();
    for at in places {
        // h * 33 + c for each character: one more here is 33 less in the next.
        file[at + 4] += 1;
        file[at + 5] -= 33;
    }
}

fn found_by(changed: &Changed) -> String {
    let mut target = Target::start_by(&mut changed.command(), WAITING);
    let pid = target.pid();
    let text = examined(&pid);
    is_looked_into(&changed.python.name(), &mut target, &pid);
    let line = text.lines().find_map(|line| line.strip_prefix("found by")).expect("a strategy");
    line.trim().to_owned()
}

#[test]
fn the_section_is_enough() {
    for python in all().iter().filter(|python| python.minor >= 13) {
        assert_eq!(found_by(&Changed::new(python, |file| without_symbol(file))), "section .PyRuntime", "{}", python.name());
    }
}

#[test]
fn the_symbol_is_enough() {
    everywhere(|python| {
        assert_eq!(found_by(&Changed::new(python, |file| without_sections(file))), "symbol _PyRuntime", "{}", python.name());
    });
}

#[test]
fn what_the_runtime_says_about_itself_is_enough() {
    for python in all().iter().filter(|python| python.minor >= 13) {
        let changed = Changed::new(python, |file| {
            without_sections(file);
            without_symbol(file);
        });
        assert_eq!(found_by(&changed), "debug-offsets cookie", "{}", python.name());
    }
}

#[test]
fn the_list_of_interpreters_is_enough() {
    for python in all().iter().filter(|python| python.minor < 13) {
        let changed = Changed::new(python, |file| {
            without_sections(file);
            without_symbol(file);
        });
        assert_eq!(found_by(&changed), "interpreter list in the data segment", "{}", python.name());
    }
}

#[test]
fn a_stripped_interpreter() {
    everywhere(|python| {
        let stripped = |file: &mut Vec<u8>| {
            let home = tempfile::tempdir().expect("a directory");
            let path = home.path().join("file");
            fs::write(&path, &*file).expect("our own directory");
            let done = Command::new("strip").arg("--strip-all").arg(&path).output();
            if done.is_ok_and(|output| output.status.success()) {
                *file = fs::read(&path).expect("it was written");
            } else {
                eprintln!("not stripped: no strip here");
            }
        };
        let changed = Changed::new(python, stripped);
        // What was changed by other tools before does not always bear it.
        if changed.command().args(["-c", "import threading"]).output().is_ok_and(|output| output.status.success()) {
            found_by(&changed);
        } else {
            eprintln!("skipped: {} does not run when it is stripped", python.name());
        }
    });
}
