//! Looking into running processes: what is found, what is not, and that the process goes on as if nothing had been.

mod harness;

use harness::session::racetrace;
use harness::target::{Target, everywhere, findings, look};

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

#[test]
fn the_doctor_names_interpreter_and_strategy() {
    everywhere(|python| {
        let target = Target::start(python, WORKING);
        let output = racetrace().args(["doctor", &target.pid(), "--stacks"]).output().expect("racetrace runs");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("may attach     yes"), "{}: {text}", python.name());
        assert!(text.contains("found by"), "{}: {text}", python.name());
        let probes =
            if python.minor >= 12 && !python.free_threaded { "probes         can be loaded" } else { "cannot be loaded" };
        assert!(text.contains(probes), "{}: {text}", python.name());
        assert!(text.contains("app.py:"), "{}: {text}", python.name());
    });
}
