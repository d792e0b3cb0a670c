//! `racetrace --pid PID --probe`: the probes in a process that runs already, on each interpreter that takes them.

mod harness;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use harness::Python;
use harness::pythons::all;
use harness::session::racetrace;
use harness::target::{Target, findings, report_of};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

const SERVICE: &str = include_str!("join/service.py");

/// The interpreters that take probes while they run; also says that there are none.
fn joinable() -> Vec<&'static Python> {
    let found: Vec<&Python> = all().iter().filter(|python| python.minor >= 12 && !python.free_threaded).collect();
    if found.is_empty() {
        eprintln!("no CPython from 3.12 on: nothing was joined");
    }
    found
}

fn service(python: &Python, how: &str) -> Target {
    Target::start_by(Command::new(&python.path).env("SERVICE", how), SERVICE)
}

/// racetrace, once the process is watched.
fn joining(target: &Target, options: &[&str]) -> Child {
    let mut command = racetrace();
    command.args(["--pid", &target.pid(), "--probe", "--format", "json"]).args(options);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("racetrace runs");
    let mut line = String::new();
    BufReader::new(child.stderr.as_mut().expect("piped")).read_line(&mut line).expect("it says something");
    assert!(line.contains("is watched"), "{line}");
    child
}

/// Joins, lets the program go on, and has the report.
fn joined(target: &mut Target) -> Value {
    let child = joining(target, &["--duration", "2s"]);
    target.say("go\n");
    report_of(&child.wait_with_output().expect("our child"))
}

fn until(target: &mut Target, answer: &str) {
    loop {
        target.say("state\n");
        if target.hear() == answer {
            return;
        }
    }
}

/// What ends is given back to the system, now that nobody asks for it any more.
fn assert_tight(target: &mut Target, python: &Python) {
    target.say("leaks\n");
    assert_eq!(target.hear(), "tight", "{}", python.name());
}

fn kinds_and_names(report: &Value) -> Vec<(String, String)> {
    let above_note = |finding: &&Value| finding["severity"] != "note";
    let named =
        |finding: &Value| (finding["kind"].as_str().unwrap().to_owned(), finding["subject"]["name"].as_str().unwrap().to_owned());
    findings(report).iter().filter(above_note).map(named).collect()
}

#[test]
fn a_race_is_found_and_named_and_locks_taken_before_are_known() {
    for python in joinable() {
        let mut target = service(python, "loses");
        let report = joined(&mut target);
        let found = kinds_and_names(&report);
        assert_eq!(found.len(), 1, "{}: {report:#}", python.name());
        assert_eq!(found[0].0, "read-modify-write");
        assert!(found[0].1.ends_with("total"), "{}", found[0].1);
        assert_eq!(findings(&report)[0]["basis"], "traced");
        target.say("end\n");
        target.wait_for("right");
    }
}

#[test]
fn a_file_that_was_open_already_has_its_name() {
    for python in joinable() {
        let mut target = service(python, "writes");
        let report = joined(&mut target);
        let torn = ("interleaved-write".to_owned(), "torn.log".to_owned());
        assert_eq!(kinds_and_names(&report), [torn], "{}", python.name());
        target.say("end\n");
        target.wait_for("right");
    }
}

#[test]
fn correct_programs_are_silent_and_left_as_they_were() {
    for python in joinable() {
        let mut target = service(python, "keeps");
        let report = joined(&mut target);
        let watched = |report: &Value| report["coverage"]["events"].as_u64().is_some_and(|events| events > 1000);
        assert_eq!(kinds_and_names(&report), [], "{}", python.name());
        assert!(watched(&report), "{}: {report:#}", python.name());
        until(&mut target, "as before");
        assert_tight(&mut target, python);
        // And once more, by another one.
        let report = report_of(&joining(&target, &["--duration", "1s"]).wait_with_output().expect("our child"));
        assert_eq!(kinds_and_names(&report), [], "{}", python.name());
        assert!(watched(&report), "{}: {report:#}", python.name());
        until(&mut target, "as before");
        assert_tight(&mut target, python);
        target.say("end\n");
        target.wait_for("right");
    }
}

#[test]
fn the_process_goes_on_as_it_was_when_racetrace_is_killed() {
    for python in joinable() {
        let mut target = service(python, "loses");
        target.say("go\n");
        for _ in 0..3 {
            let mut child = joining(&target, &[]);
            until(&mut target, "watched");
            kill(Pid::from_raw(child.id() as i32), Signal::SIGKILL).expect("it runs");
            child.wait().expect("our child");
            until(&mut target, "as before");
        }
        target.say("end\n");
        target.wait_for("right");
    }
}

#[test]
fn a_process_is_joined_by_one_at_a_time() {
    for python in joinable() {
        let mut target = service(python, "loses");
        let first = joining(&target, &[]);
        target.say("go\n");
        until(&mut target, "watched");
        let text = refusal(&target.pid(), "5s");
        assert!(text.contains("another racetrace"), "{text}");
        kill(Pid::from_raw(first.id() as i32), Signal::SIGINT).expect("it runs");
        let report = report_of(&first.wait_with_output().expect("our child"));
        assert!(report["coverage"]["events"].as_u64().is_some_and(|events| events > 1000), "{report:#}");
        target.say("end\n");
        target.wait_for("right");
    }
}

fn refusal(pid: &str, duration: &str) -> String {
    let output = racetrace().args(["--pid", pid, "--probe", "--duration", duration]).output().expect("racetrace runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(output.stdout.is_empty() && text.contains("\n  try: ") && !text.contains("panicked"), "{text}");
    text
}

const WAITING: &str =
    "import sys\nprint('ready', flush=True)\nsys.stdin.readline()\nprint('read', flush=True)\nsys.stdin.readline()";

#[test]
fn who_takes_no_probes_is_told_apart() {
    for python in all() {
        let target = Target::start(python, WAITING);
        let text = refusal(&target.pid(), "300ms");
        let expected = match (python.minor, python.free_threaded) {
            (_, true) => "free-threaded",
            (..12, _) => "3.12 is the first",
            _ => "none of its threads has run Python code",
        };
        assert!(text.contains(expected), "{}: {text}", python.name());
    }
    for python in joinable().iter().filter(|python| python.minor >= 14) {
        let mut command = Command::new(&python.path);
        let target = Target::start_by(command.args(["-X", "disable-remote-debug"]), WAITING);
        assert!(refusal(&target.pid(), "300ms").contains("disable-remote-debug"));
    }
}

#[test]
fn what_a_process_was_asked_in_vain_it_never_does() {
    for python in joinable() {
        let mut target = Target::start(python, WAITING);
        refusal(&target.pid(), "300ms");
        target.say("line\n");
        assert_eq!(target.hear(), "read", "{}", python.name());
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", target.pid())).expect("it lives");
        assert!(!maps.contains("racetrace_agent"), "{}", python.name());
    }
}
