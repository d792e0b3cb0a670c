//! `racetrace doctor`: may this process be looked into, which interpreter is it, and what would be missed. The refusals are
//! in `attach_refusals`, the ways of finding the runtime in `attach_places`.

mod harness;

use harness::pythons::all;
use harness::session::racetrace;
use harness::target::{Target, everywhere};
use nix::sys::signal::Signal;

fn doctor(words: &[&str]) -> String {
    let output = racetrace().arg("doctor").args(words).output().expect("racetrace runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

#[test]
fn the_machine_is_examined_without_a_process() {
    let text = doctor(&[]);
    for name in ["privileges ", "ptrace_scope ", "supported ", "next "] {
        assert!(text.lines().any(|line| line.starts_with(name)), "{name}: {text}");
    }
    assert!(text.contains("CPython 3.8 to 3.15, free-threaded 3.13"), "{text}");
}

#[test]
fn children_and_threads_of_other_kinds_are_named() {
    let python = all().last().expect("an interpreter");
    let program = "
import subprocess, sys
child = subprocess.Popen([sys.executable, '-c', 'import sys; sys.stdin.read()'], stdin=subprocess.PIPE)
print('ready', flush=True)
print(child.pid, flush=True)
sys.stdin.read()
child.kill()
";
    let mut target = Target::start(python, program);
    let child = target.hear();
    // Until the child runs its own program it has its parent's.
    let expected = format!("its child {child} ({} -c", python.path.display());
    while !doctor(&[&target.pid()]).contains(&expected) {
        assert!(target.child.try_wait().expect("our child").is_none());
    }
    let text = doctor(&[&target.pid()]);
    assert!(text.contains(&format!("`racetrace --pid {child}`")), "{text}");
    assert!(text.contains("1 of Python, 1 in all"), "{text}");
}

const WAITING: &str = "
import sys, threading
gate = threading.Event()
def waits_here():
    gate.wait()
threading.Thread(target=waits_here, name='waiter', daemon=True).start()
print('ready', flush=True)
sys.stdin.read()
";

#[test]
fn what_would_be_missed_is_said() {
    everywhere(|python| {
        let target = Target::start(python, WAITING);
        let text = doctor(&[&target.pid()]);
        let lasting = "missed         windows of a few instructions";
        let parked = "missed         no GIL parks a thread here";
        assert!(text.contains(if python.free_threaded { parked } else { lasting }), "{text}");
        target.signal(Signal::SIGSTOP);
        while !target.stopped() {
            std::thread::yield_now();
        }
        assert!(doctor(&[&target.pid()]).contains("`kill -CONT` lets it go on"), "{}", python.name());
        target.signal(Signal::SIGCONT);
    });
}

#[test]
fn stacks_have_threads_by_name_and_lines() {
    everywhere(|python| {
        let target = Target::start(python, WAITING);
        let text = doctor(&["--stacks", &target.pid()]);
        assert!(text.contains(" waiter ["), "{}: {text}", python.name());
        assert!(text.contains("app.py:5 "), "{}: {text}", python.name());
        assert!(text.contains("waits_here\n") && text.contains("MainThread"), "{}: {text}", python.name());
    });
}
