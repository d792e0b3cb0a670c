//! Processes that cannot be looked into: one clear sentence each, what to try, exit code 2, and nothing on stdout.

mod harness;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use harness::pythons::{all, others};
use harness::session::racetrace;
use harness::target::Target;

/// Killed and reaped at the end.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Running {
        Running(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts"))
    }

    /// Known to be up once it has said a line.
    fn said(&mut self) -> String {
        let mut line = String::new();
        BufReader::new(self.0.stdout.as_mut().expect("piped")).read_line(&mut line).expect("it says something");
        line
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The complaint about looking into `pid`; the doctor's is the same.
fn refusal(pid: &str) -> String {
    refusal_by(&mut racetrace(), pid)
}

fn refusal_by(command: &mut Command, pid: &str) -> String {
    command.args(["--pid", pid, "--duration", "1s"]);
    // A test beside this one that starts a program has our copy of racetrace open until it has started it.
    let output = loop {
        match command.output() {
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
            other => break other.expect("racetrace runs"),
        }
    };
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(text.starts_with("racetrace: ") && text.matches("racetrace: ").count() == 1, "{text}");
    assert!(text.contains("\n  try: ") && !text.contains("panicked"), "{text}");
    text
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// `nobody`'s.
const STRANGER: u32 = 65_534;

/// A copy of racetrace that every user can run.
fn for_everybody(home: &Path) -> PathBuf {
    let copy = home.join("racetrace");
    fs::copy(env!("CARGO_BIN_EXE_racetrace"), &copy).expect("it can be copied");
    for path in [home, &copy] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    }
    copy
}

#[test]
fn no_such_process() {
    assert!(refusal("4194305").contains("there is no process 4194305"));
    for nonsense in ["0", "4294967295"] {
        assert!(refusal(nonsense).contains("there is no process"), "{}", refusal(nonsense));
    }
    let output = racetrace().args(["--pid", "-1"]).output().expect("racetrace runs");
    assert_eq!(output.status.code(), Some(2));
    let doctor = racetrace().args(["doctor", "4194305"]).output().expect("racetrace runs");
    assert_eq!(doctor.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&doctor.stderr).contains("there is no process 4194305"));
}

#[test]
fn a_process_of_another_user() {
    let home = tempfile::tempdir().expect("a directory");
    if !is_root() {
        let text = refusal("1");
        assert!(text.contains("cannot read the memory of process 1: it belongs to user 0") && text.contains("sudo"), "{text}");
        return;
    }
    let mut ours = Running::start(Command::new("sh").args(["-c", "echo up; read line"]));
    ours.said();
    let text = refusal_by(Command::new(for_everybody(home.path())).uid(STRANGER).gid(STRANGER), &ours.pid());
    assert!(text.contains(&format!("cannot read the memory of process {}: it belongs to user 0", ours.pid())), "{text}");
    assert!(text.contains("sudo ") && text.contains(&format!("--pid {}", ours.pid())), "{text}");
}

#[test]
fn a_process_that_protects_itself() {
    let python = Path::new("/usr/bin/python3");
    if !is_root() || !python.exists() {
        eprintln!("skipped: needs root and /usr/bin/python3");
        return;
    }
    let home = tempfile::tempdir().expect("a directory");
    let program = "import ctypes, sys; ctypes.CDLL(None).prctl(4, 0); print('ready', flush=True); sys.stdin.read()";
    let mut protected = Running::start(Command::new(python).args(["-c", program]).uid(STRANGER).gid(STRANGER));
    assert_eq!(protected.said(), "ready\n");
    let text = refusal_by(Command::new(for_everybody(home.path())).uid(STRANGER).gid(STRANGER), &protected.pid());
    assert!(text.contains("it is protected") || text.contains("it belongs to user 0"), "{text}");
    assert!(text.contains("sudo "), "{text}");
}

#[test]
fn a_program_that_is_not_python() {
    let mut cat = Running::start(Command::new("sh").args(["-c", "echo up; exec cat"]));
    cat.said();
    let text = refusal(&cat.pid());
    assert!(text.contains("is not a CPython interpreter") && text.contains("pgrep -a python"), "{text}");
}

#[test]
fn a_wrapper_around_python_names_the_process_that_is_meant() {
    let python = all().first().expect("an interpreter");
    let script = format!("{} -c \"import os; print(os.getpid(), flush=True); input()\"; exit", python.path.display());
    let mut wrapper = Running::start(Command::new("sh").args(["-c", &script]));
    let inner = wrapper.said();
    let text = refusal(&wrapper.pid());
    assert!(text.contains(&format!("`racetrace --pid {}`", inner.trim())), "{text}");
}

#[test]
fn pypy() {
    let Some(pypy) = others().into_iter().find(|path| path.ends_with("pypy3")) else {
        eprintln!("skipped: no pypy3 in RACETRACE_PYTHONS or PATH");
        return;
    };
    let mut running = Running::start(Command::new(pypy).args(["-c", "print('ready', flush=True); input()"]));
    running.said();
    let text = refusal(&running.pid());
    assert!(text.contains("the process runs PyPy") && text.contains("run the program with CPython 3.8 to 3.15"), "{text}");
}

#[test]
fn versions_that_are_not_supported() {
    let mut seen = 0;
    for path in others() {
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        let Some(version) = name.strip_prefix("python") else { continue };
        seen += 1;
        let program = "import sys; sys.stdout.write('ready\\n'); sys.stdout.flush(); sys.stdin.read()";
        let mut running = Running::start(Command::new(&path).args(["-c", program]));
        running.said();
        let text = refusal(&running.pid());
        assert!(text.contains(&format!("the process runs Python {version}, which is not supported")), "{name}: {text}");
        assert!(text.contains("run the program with CPython 3.8 to 3.15"), "{name}: {text}");
        assert!(text.contains(&format!("`racetrace doctor --stacks {}`", running.pid())), "{name}: {text}");
    }
    if seen == 0 {
        eprintln!("skipped: no Python older than 3.8 in RACETRACE_PYTHONS, PATH or pyenv");
    }
}

#[test]
fn the_doctor_shows_stacks_of_versions_that_are_not_supported() {
    for path in others() {
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        let Some(version) = name.strip_prefix("python") else { continue };
        let program = "
import sys, threading, time
def waits_here():
    time.sleep(1000)
thread = threading.Thread(target=waits_here)
thread.daemon = True
thread.start()
sys.stdout.write('ready\\n')
sys.stdout.flush()
sys.stdin.read()
";
        let target = Target::start_by(&mut Command::new(&path), program);
        let output = racetrace().args(["doctor", "--stacks", &target.pid()]).output().expect("racetrace runs");
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(2), "{name}: {text}");
        assert!(text.contains(&format!("CPython {version}.")), "{name}: {text}");
        assert!(text.contains("app.py:4 waits_here") && text.contains("app.py:10 <module>"), "{name}: {text}");
    }
}

#[test]
fn a_thread_of_the_kernel() {
    let status = fs::read_to_string("/proc/2/status").unwrap_or_default();
    if !status.contains("kthreadd") {
        eprintln!("skipped: the kernel's threads are not to be seen from here");
        return;
    }
    assert!(refusal("2").contains("2 is a thread of the kernel, not a program"), "{}", refusal("2"));
}

#[test]
fn a_thread_of_a_process() {
    let python = all().first().expect("an interpreter");
    let program = "
import os, sys, threading, time
threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
print('ready', flush=True)
print([tid for tid in os.listdir('/proc/self/task') if int(tid) != os.getpid()][0], flush=True)
sys.stdin.read()
";
    let mut target = Target::start(python, program);
    let tid = target.hear();
    let text = refusal(&tid);
    assert!(text.contains(&format!("{tid} is a thread of process {}", target.pid())), "{text}");
    assert!(text.contains(&format!("racetrace --pid {}", target.pid())), "{text}");
}

#[test]
fn a_zombie() {
    let mut child = Running::start(Command::new("true").arg("x"));
    // Its end closes its output, and nobody reaps it before the test is over.
    child.0.stdout.as_mut().expect("piped").read_to_end(&mut Vec::new()).expect("it ends");
    while !fs::read_to_string(format!("/proc/{}/stat", child.pid())).expect("a zombie").contains(") Z ") {
        std::thread::yield_now();
    }
    let text = refusal(&child.pid());
    assert!(text.contains("has ended and only waits to be reaped by its parent"), "{text}");
    assert!(text.contains(&format!("ps -o ppid= -p {}", child.pid())), "{text}");
}

/// An i386 program made of nothing but `write(1, "up\n", 3)` and `read(0, …)`.
fn narrow_program() -> Vec<u8> {
    const BASE: u32 = 0x0804_8000;
    const HEADERS: u32 = 52 + 32;
    #[rustfmt::skip]
    let code: Vec<u8> = [
        &[0xb8, 4, 0, 0, 0, 0xbb, 1, 0, 0, 0, 0xb9][..], &(BASE + HEADERS + 60).to_le_bytes(), // eax 4, ebx 1, ecx text
        &[0xba, 3, 0, 0, 0, 0xcd, 0x80], // edx 3, int 0x80
        &[0xb8, 3, 0, 0, 0, 0xbb, 0, 0, 0, 0, 0x89, 0xe1, 0xba, 1, 0, 0, 0, 0xcd, 0x80], // read(0, esp, 1)
        &[0xb8, 1, 0, 0, 0, 0xcd, 0x80], // exit
    ].concat();
    let mut text = code;
    text.resize(60, 0x90);
    text.extend(b"up\n");
    let size = HEADERS + text.len() as u32;
    let mut file = vec![0x7f, b'E', b'L', b'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    for half in [2u16, 3] {
        file.extend(half.to_le_bytes());
    }
    for word in [1, BASE + HEADERS, 52, 0, 0] {
        file.extend(word.to_le_bytes());
    }
    for half in [52u16, 32, 1, 0, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    for word in [1, 0, BASE, BASE, size, size, 5, 0x1000] {
        file.extend(word.to_le_bytes());
    }
    file.extend(text);
    file
}

#[test]
fn a_32_bit_program() {
    let home = tempfile::tempdir().expect("a directory");
    let file = home.path().join("narrow");
    fs::write(&file, narrow_program()).expect("a program");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let started = Command::new(&file).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(started) = started else {
        eprintln!("skipped: this kernel runs no 32-bit programs");
        return;
    };
    let mut narrow = Running(started);
    assert_eq!(narrow.said(), "up\n");
    let text = refusal(&narrow.pid());
    assert!(text.contains("is a 32-bit program, which cannot be read") && text.contains("64-bit Python"), "{text}");
}
