//! Looking into running processes: what is found, what is not, and that the process goes on as if nothing had been.

mod harness;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

use harness::Python;
use harness::pythons::all;
use harness::session::racetrace;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// A Python program that has said `ready`, killed at the end.
struct Target {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    _home: tempfile::TempDir,
}

impl Target {
    fn start(python: &Python, program: &str) -> Target {
        let home = tempfile::tempdir().expect("a directory");
        let file = home.path().join("app.py");
        std::fs::write(&file, program).expect("a program");
        let mut command = Command::new(&python.path);
        let mut child = command.arg(&file).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut target = Target { child, lines, _home: home };
        target.wait_for("ready");
        target
    }

    fn wait_for(&mut self, word: &str) {
        let found = self.lines.by_ref().map_while(Result::ok).any(|line| line == word);
        assert!(found, "the program ended before it said {word}");
    }

    fn pid(&self) -> String {
        self.child.id().to_string()
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// On every interpreter that there is, also those which `racetrace run` does not support.
fn everywhere(test: impl Fn(&Python) + std::panic::RefUnwindSafe) {
    let fails = |python: &&Python| {
        eprintln!("--- {}", python.name());
        std::panic::catch_unwind(|| test(python)).is_err()
    };
    let failed: Vec<String> = all().iter().filter(fails).map(Python::name).collect();
    assert!(failed.is_empty(), "failed on {}", failed.join(", "));
}

fn look(target: &Target, options: &[&str]) -> (Output, Value) {
    let output = racetrace().args(["--pid", &target.pid(), "--format", "json"]).args(options).output().expect("racetrace runs");
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (output, report)
}

fn findings(report: &Value) -> &[Value] {
    report["findings"].as_array().map_or(&[], Vec::as_slice)
}

const DEADLOCK: &str = "
import threading
first, second = threading.Lock(), threading.Lock()
meet = threading.Barrier(2)

def up():
    with first:
        meet.wait()
        with second:
            pass

def down():
    with second:
        meet.wait()
        with first:
            pass

threads = [threading.Thread(target=up), threading.Thread(target=down)]
for thread in threads:
    thread.start()
print('ready', flush=True)
for thread in threads:
    thread.join()
";

#[test]
fn a_deadlock_is_shown_with_locks_and_lines() {
    everywhere(|python| {
        let target = Target::start(python, DEADLOCK);
        let (output, report) = look(&target, &["--duration", "1s"]);
        let found = findings(&report);
        assert_eq!(found.len(), 1, "{}: {report:#}", python.name());
        assert_eq!(found[0]["kind"], "deadlock");
        assert_eq!(found[0]["basis"], "sampled");
        assert_eq!(found[0]["subject"]["name"], "app.first,app.second");
        let text = found[0].to_string();
        for line in ["\"line\":9", "\"line\":15"] {
            assert!(text.contains(line), "{}: {line} is not in {text}", python.name());
        }
        assert_eq!(output.status.code(), Some(66));
    });
}

const OVERDRAWN: &str = "
import threading, time
balance = 1

def withdraw():
    global balance
    while True:
        if balance >= 1:
            time.sleep(0.02)
            balance -= 1
        balance = 1

for _ in range(4):
    threading.Thread(target=withdraw, daemon=True).start()
print('ready', flush=True)
time.sleep(1000)
";

const LOCKED: &str = "
import threading, time
balance = 1
lock = threading.Lock()

def withdraw():
    global balance
    while True:
        with lock:
            if balance >= 1:
                time.sleep(0.002)
                balance -= 1
            balance = 1

for _ in range(4):
    threading.Thread(target=withdraw, daemon=True).start()
print('ready', flush=True)
time.sleep(1000)
";

#[test]
fn two_threads_in_one_window_are_found() {
    everywhere(|python| {
        let target = Target::start(python, OVERDRAWN);
        let (_, report) = look(&target, &["--duration", "3s"]);
        let found = findings(&report);
        let race = found.iter().find(|finding| finding["kind"] == "check-then-act" || finding["kind"] == "read-modify-write");
        let race = race.unwrap_or_else(|| panic!("{}: {report:#}", python.name()));
        assert_eq!(race["subject"]["name"], "app.balance", "{}", python.name());
        assert_eq!(race["evidence"], "observed");
    });
}

#[test]
fn the_same_under_a_lock_is_not_reported() {
    everywhere(|python| {
        let target = Target::start(python, LOCKED);
        let (output, report) = look(&target, &["--duration", "1s", "--rate", "1000", "--budget", "100"]);
        assert!(findings(&report).is_empty(), "{}: {report:#}", python.name());
        assert_eq!(output.status.code(), Some(0));
    });
}

#[test]
fn what_cannot_be_looked_into_is_refused_with_a_reason() {
    let refusal = |pid: &str| {
        let output = racetrace().args(["--pid", pid]).output().expect("racetrace runs");
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stdout.is_empty());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(refusal("4194305").contains("there is no process 4194305"));
    let mut cat = Command::new("cat").stdin(Stdio::piped()).spawn().expect("cat runs");
    let text = refusal(&cat.id().to_string());
    cat.kill().expect("it runs");
    cat.wait().expect("it ended");
    assert!(text.contains("is not a CPython interpreter"), "{text}");
    assert!(text.contains("try:"), "{text}");
}

const WORKING: &str = "
import sys, threading, time
interval = sys.getswitchinterval()
done = threading.Event()

def work():
    while not done.is_set():
        sum(range(50))

for _ in range(3):
    threading.Thread(target=work).start()
print('ready', flush=True)
for line in sys.stdin:
    if line == 'interval\\n':
        print(sys.getswitchinterval() == interval, flush=True)
    else:
        break
done.set()
print('done', flush=True)
";

fn say(target: &mut Target, line: &str) {
    use std::io::Write as _;
    let stdin = target.child.stdin.as_mut().expect("piped");
    stdin.write_all(line.as_bytes()).and_then(|()| stdin.flush()).expect("the program listens");
}

#[test]
fn the_process_goes_on_when_racetrace_is_killed() {
    everywhere(|python| {
        let mut target = Target::start(python, WORKING);
        for _ in 0..3 {
            let mut looking = racetrace().args(["--pid", &target.pid(), "--quiet"]).spawn().expect("racetrace runs");
            looking.kill().expect("it runs");
            looking.wait().expect("it ended");
        }
        say(&mut target, "end\n");
        target.wait_for("done");
    });
}

#[test]
fn the_switch_interval_is_put_back() {
    everywhere(|python| {
        if python.free_threaded {
            return;
        }
        let mut target = Target::start(python, WORKING);
        let (_, report) = look(&target, &["--duration", "200ms", "--switch-interval", "1ms"]);
        assert!(report["notices"].to_string().contains("--switch-interval"), "{report:#}");
        say(&mut target, "interval\n");
        target.wait_for("True");
    });
}

#[test]
fn a_process_that_ends_or_stops_is_no_error() {
    everywhere(|python| {
        let target = Target::start(python, OVERDRAWN);
        let pid = Pid::from_raw(i32::try_from(target.child.id()).expect("a pid"));
        kill(pid, Signal::SIGSTOP).expect("it runs");
        let (output, _) = look(&target, &["--duration", "300ms"]);
        assert!(output.status.code() == Some(0) || output.status.code() == Some(66));
        kill(pid, Signal::SIGCONT).expect("it is stopped");
        let looking = racetrace()
            .args(["--pid", &target.pid(), "--format", "json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("racetrace runs");
        kill(pid, Signal::SIGKILL).expect("it runs");
        let output = looking.wait_with_output().expect("it ends by itself");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!errors.contains("panicked"), "{errors}");
    });
}

#[test]
fn the_doctor_names_interpreter_and_strategy() {
    everywhere(|python| {
        let target = Target::start(python, WORKING);
        let output = racetrace().args(["doctor", &target.pid(), "--stacks"]).output().expect("racetrace runs");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("may attach     yes"), "{}: {text}", python.name());
        assert!(text.contains("found by"), "{}: {text}", python.name());
        assert!(text.contains("app.py:"), "{}: {text}", python.name());
    });
}
