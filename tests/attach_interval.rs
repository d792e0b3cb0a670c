//! `--switch-interval`, the only thing that is written to a process: it is put back whatever ends racetrace.

mod harness;

use std::process::{Child, Stdio};

use harness::Python;
use harness::pythons::all;
use harness::session::racetrace;
use harness::target::{Target, look};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const WORKING: &str = "
import sys, threading
interval = sys.getswitchinterval()
done = threading.Event()

def work():
    while not done.is_set():
        sum(range(50))

for _ in range(2):
    threading.Thread(target=work).start()
print('ready', flush=True)
for line in sys.stdin:
    if line == 'interval\\n':
        now = sys.getswitchinterval()
        print('as before' if now == interval else 'changed', flush=True)
    elif line == 'set\\n':
        sys.setswitchinterval(0.25)
        print('set', flush=True)
    elif line == 'mine\\n':
        print('mine' if sys.getswitchinterval() == 0.25 else 'not mine', flush=True)
    else:
        break
done.set()
print('done', flush=True)
";

fn with_gil() -> impl Iterator<Item = &'static Python> {
    all().iter().filter(|python| !python.free_threaded)
}

/// Asks again and again until the answer is the one that must come.
fn until(target: &mut Target, answer: &str) {
    loop {
        target.say("interval\n");
        if target.hear() == answer {
            return;
        }
    }
}

fn amplifying(target: &Target) -> Child {
    let mut command = racetrace();
    command.args(["--pid", &target.pid(), "--quiet", "--switch-interval", "1ms"]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("racetrace runs")
}

fn end(mut target: Target) {
    target.say("end\n");
    target.wait_for("done");
}

#[test]
fn it_is_put_back_at_the_end() {
    for python in with_gil() {
        let mut target = Target::start(python, WORKING);
        let (_, report) = look(&target, &["--duration", "200ms", "--switch-interval", "1ms"]);
        assert!(report["notices"].to_string().contains("--switch-interval"), "{report:#}");
        target.say("interval\n");
        assert_eq!(target.hear(), "as before", "{}", python.name());
        end(target);
    }
}

#[test]
fn it_is_put_back_before_racetrace_ends_by_a_signal() {
    for python in with_gil() {
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
            let mut target = Target::start(python, WORKING);
            let mut looking = amplifying(&target);
            until(&mut target, "changed");
            kill(Pid::from_raw(looking.id() as i32), signal).expect("it runs");
            looking.wait().expect("our child");
            target.say("interval\n");
            assert_eq!(target.hear(), "as before", "{} {signal}", python.name());
            end(target);
        }
    }
}

#[test]
fn it_is_put_back_after_signals_that_cannot_be_caught_or_are_not() {
    for python in with_gil() {
        for signal in [Signal::SIGKILL, Signal::SIGABRT] {
            let mut target = Target::start(python, WORKING);
            let mut looking = amplifying(&target);
            until(&mut target, "changed");
            kill(Pid::from_raw(looking.id() as i32), signal).expect("it runs");
            looking.wait().expect("our child");
            until(&mut target, "as before");
            end(target);
        }
    }
}

#[test]
fn an_interval_that_the_program_sets_meanwhile_is_the_programs() {
    for python in with_gil() {
        let mut target = Target::start(python, WORKING);
        let mut looking = amplifying(&target);
        until(&mut target, "changed");
        target.say("set\n");
        assert_eq!(target.hear(), "set");
        kill(Pid::from_raw(looking.id() as i32), Signal::SIGTERM).expect("it runs");
        looking.wait().expect("our child");
        target.say("mine\n");
        assert_eq!(target.hear(), "mine", "{}", python.name());
        end(target);
    }
}

#[test]
fn the_guardian_does_not_outlive_racetrace() {
    let python = with_gil().next().expect("an interpreter with a GIL");
    let target = Target::start(python, WORKING);
    let guardians = || {
        let processes = std::fs::read_dir("/proc").expect("Linux").flatten();
        let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
        let wanted = format!("put-back-interval\0{}\0", target.pid()).into_bytes();
        lines.filter(|line| line.windows(wanted.len()).any(|part| part == wanted)).count()
    };
    let mut looking = amplifying(&target);
    while guardians() == 0 {
        assert!(looking.try_wait().expect("our child").is_none(), "it ended");
    }
    kill(Pid::from_raw(looking.id() as i32), Signal::SIGTERM).expect("it runs");
    looking.wait().expect("our child");
    assert_eq!(guardians(), 0);
    end(target);
}

#[test]
fn a_build_without_a_gil_has_no_interval() {
    let Some(python) = all().iter().find(|python| python.free_threaded) else {
        eprintln!("skipped: no free-threaded build here");
        return;
    };
    let target = Target::start(python, WORKING);
    let output = racetrace().args(["--pid", &target.pid(), "--switch-interval", "1ms"]).output().expect("racetrace runs");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("this interpreter has no GIL") && text.contains("leave --switch-interval out"), "{text}");
}
