//! `racetrace report`: what a trace says later is what was said live; several traces make one report; what is no trace, or
//! is damaged, is said in one sentence.

mod harness;

use std::fs;
use std::path::Path;
use std::process::Output;

use harness::session::racetrace;
use harness::{Session, each_python, pythons};
use serde_json::Value;

const RACY: &str = "
    import threading, time
    total = 0
    def work():
        global total
        for _ in range(5):
            seen = total
            time.sleep(0.001)
            total = seen + 1
    threads = [threading.Thread(target=work) for _ in range(2)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
";

/// A run of the racy program that left `run.rt` behind.
fn recorded(options: &[&str]) -> Session {
    options.iter().fold(Session::new().file("app.py", RACY), |session, option| session.option(option))
}

fn report(session: &Session, arguments: &[&str]) -> Output {
    racetrace().current_dir(session.path()).arg("report").args(arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json(session: &Session, arguments: &[&str]) -> Value {
    let output = report(session, &[&["--format", "json"], arguments].concat());
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", stderr(&output)))
}

#[test]
fn a_trace_says_later_what_was_said_live() {
    each_python(|python| {
        let session = recorded(&["--trace", "run.rt", "--format", "text", "--output", "live.txt"]);
        let live = session.python(python, &["app.py"]);
        assert_eq!(live.races(), ["read-modify-write app.total"], "{}", live.stderr);
        let first = report(&session, &["run.rt", "--format", "json"]);
        let second = report(&session, &["run.rt", "--format", "json"]);
        assert_eq!(first.status.code(), Some(66));
        assert_eq!(stdout(&first), stdout(&second), "two analyses of one trace");
        assert_eq!(stdout(&first), fs::read_to_string(session.report_path()).unwrap(), "live and from the trace");
        let text = report(&session, &["run.rt"]);
        assert_eq!(stdout(&text), fs::read_to_string(session.path().join("live.txt")).unwrap());
    });
}

#[test]
fn a_report_needs_nothing_but_the_trace() {
    let python = &pythons::supported()[0];
    let session = recorded(&["--trace", "run.rt"]);
    session.python(python, &["app.py"]);
    fs::remove_file(session.path().join("app.py")).unwrap();
    let shown = stdout(&report(&session, &["run.rt"]));
    assert!(shown.contains("total = seen + 1"), "{shown}");
}

#[test]
fn source_lines_and_values_can_be_left_out() {
    let python = &pythons::supported()[0];
    let session = recorded(&["--trace", "run.rt", "--no-values", "--no-source"]);
    session.python(python, &["app.py"]);
    fs::remove_file(session.path().join("app.py")).unwrap();
    let shown = stdout(&report(&session, &["run.rt"]));
    assert!(shown.contains("read-modify-write") && !shown.contains("total = seen + 1"), "{shown}");
    assert!(!shown.contains("wrote 1 over"), "{shown}");
}

/// Neither in the bytes of the file nor in any report made of it.
#[test]
fn values_and_source_are_not_in_the_file() {
    let python = &pythons::supported()[0];
    let secretive = "
        import threading, time
        box = {}
        def work():
            name = 'key-' + str(40 + 2)
            if name not in box:
                time.sleep(0.001)
                box[name] = 0  # a remark of its author
            seen = box.get(name)
            time.sleep(0.001)
            box[name] = seen + 70007
        threads = [threading.Thread(target=work) for _ in range(2)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
    ";
    let needles = ["key-42", "70007", "a remark of its author"];
    for (options, absent) in [(&["--no-values", "--no-source"][..], &needles[..]), (&[][..], &[][..])] {
        let session = options.iter().fold(Session::new().file("app.py", secretive), |session, option| session.option(option));
        let session = session.option("--trace").option("run.rt");
        assert_eq!(session.python(python, &["app.py"]).code, 66);
        fs::remove_file(session.path().join("app.py")).unwrap();
        let payloads = racetrace::trace::hostile::payloads(&fs::read(session.path().join("run.rt")).unwrap());
        let mut held: Vec<u8> = payloads.into_iter().flat_map(|(_, _, bytes)| bytes).collect();
        for format in racetrace::report::Format::ALL {
            held.extend(report(&session, &["run.rt", "--format", format.name()]).stdout);
        }
        let held = String::from_utf8_lossy(&held);
        let found: Vec<&str> = needles.into_iter().filter(|needle| held.contains(needle)).collect();
        assert!(absent.iter().all(|needle| !found.contains(needle)), "{found:?} with {options:?}");
        assert!(!absent.is_empty() || found == needles, "only {found:?} without the options: the test sees nothing");
    }
}

#[test]
fn several_traces_become_one_report() {
    let python = &pythons::supported()[0];
    let session = recorded(&["--trace", "run.rt"]);
    session.python(python, &["app.py"]);
    fs::rename(session.path().join("run.rt"), session.path().join("first.rt")).unwrap();
    session.python(python, &["app.py"]);
    let race = |arguments: &[&str]| {
        let report = json(&session, arguments);
        let findings = report["findings"].as_array().unwrap();
        let races: Vec<&Value> = findings.iter().filter(|finding| finding["severity"] != "note").collect();
        assert_eq!(races.len(), 1, "{report}");
        races[0].clone()
    };
    let count = |race: &Value| race["count"].as_u64().unwrap();
    let (first, second) = (race(&["first.rt"]), race(&["run.rt"]));
    let both = race(&["first.rt", "run.rt"]);
    assert_eq!(count(&both), count(&first) + count(&second));
    assert_eq!(both, race(&["run.rt", "first.rt"]), "whichever comes first");
    let told = |one: &Value| {
        let parts = ["fingerprint", "kind", "subject", "severity", "evidence", "message", "help", "observed", "accesses"];
        parts.map(|part| one[part].clone())
    };
    let observed = |one: &Value| one["evidence"] == "observed";
    let surer: Vec<&Value> = match [&first, &second].into_iter().filter(|one| observed(one)).collect::<Vec<_>>() {
        none if none.is_empty() => vec![&first, &second],
        observed => observed,
    };
    assert!(surer.iter().any(|one| told(one) == told(&both)), "whole, what one of the surer says: {both}");
    assert_eq!(race(&["first.rt", "./first.rt"]), first, "the same trace twice");
}

#[test]
fn a_cut_trace_is_reported_with_what_is_missing() {
    let python = &pythons::supported()[0];
    let session = recorded(&["--trace", "run.rt"]);
    session.python(python, &["app.py"]);
    let bytes = fs::read(session.path().join("run.rt")).unwrap();
    fs::write(session.path().join("cut.rt"), &bytes[..bytes.len() - 30]).unwrap();
    let output = report(&session, &["cut.rt"]);
    assert!(stdout(&output).contains("the trace is cut off"), "{}", stdout(&output));
    assert!(stdout(&output).contains("read-modify-write"), "the events are all there");
}

#[test]
fn what_is_no_trace_is_refused_in_one_sentence_with_advice() {
    let session = Session::new().file("app.py", RACY).file("report.json", "{}").file("empty.rt", "");
    fs::write(session.path().join("empty.rt"), "").unwrap();
    fs::write(session.path().join("stub.rt"), b"\x89racet").unwrap();
    for (name, says) in [
        ("app.py", "is not a racetrace trace"),
        ("report.json", "it looks like JSON"),
        ("empty.rt", "it is empty"),
        ("stub.rt", "it is cut off within its first bytes"),
        ("none.rt", "No such file"),
        (".", "it is a directory"),
    ] {
        let output = report(&session, &[name]);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{name}: {said}");
        assert!(said.contains(says) && said.contains("  try: "), "{name}: {said}");
        assert_eq!(said.lines().count(), 2, "{name}: {said}");
        assert_eq!(stdout(&output), "", "{name}");
    }
}

#[test]
fn a_limited_trace_still_has_the_findings() {
    let python = &pythons::supported()[0];
    let session = Session::new().option("--trace").option("run.rt").option("--trace-limit").option("256K");
    let busy = "
        import threading, time
        total, rounds = 0, 0
        lock = threading.Lock()
        def race():
            global total
            seen = total
            time.sleep(0.01)
            total = seen + 1
        def work():
            global rounds
            for _ in range(60000):
                with lock:
                    rounds += 1
        for target in race, work:
            threads = [threading.Thread(target=target) for _ in range(2)]
            [thread.start() for thread in threads]
            [thread.join() for thread in threads]
    ";
    let session = session.file("busy.py", busy);
    let live = session.python(python, &["busy.py"]);
    assert_eq!(live.races(), ["read-modify-write busy.total"], "{}", live.stderr);
    let size = fs::metadata(session.path().join("run.rt")).unwrap().len();
    assert!(size < 400 << 10, "{size}");
    let output = report(&session, &["run.rt"]);
    assert!(stdout(&output).contains("busy.total"), "{}", stdout(&output));
    assert!(Path::new(&session.path().join("run.rt")).exists());
}
