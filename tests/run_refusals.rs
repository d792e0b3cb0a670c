//! `racetrace run` where there is nothing to run, nothing to watch, or nowhere to write: one clear sentence, exit code 2,
//! and nothing of the user's lost. What is watched is the other files' concern.

mod harness;

use std::fs;

use harness::pythons::{all, supported};
use harness::{Session, each_python};

fn first_python() -> &'static harness::Python {
    supported().first().unwrap()
}

/// Exit code 2, the words on stderr, and no backtrace or second complaint.
fn refused(outcome: &harness::session::Outcome, words: &[&str]) {
    assert_eq!(outcome.code, 2, "{}", outcome.stderr);
    for word in words {
        assert!(outcome.stderr.contains(word), "no {word:?} in: {}", outcome.stderr);
    }
    assert_eq!(outcome.stderr.matches("racetrace: ").count(), 1, "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
}

#[test]
fn a_missing_command_is_named() {
    let outcome = Session::new().run(["no-such-program", "x"]);
    refused(&outcome, &["'no-such-program'", "no such program", "try: "]);
    assert!(outcome.report.is_none());
    refused(&Session::new().run(["./no/such/program"]), &["'./no/such/program'"]);
}

#[test]
fn an_empty_command_is_refused() {
    refused(&Session::new().run([""]), &["no command to run", "racetrace run -- python app.py"]);
    let none = Session::new().run([""; 0]);
    assert_eq!(none.code, 2);
    assert!(none.stderr.contains("<COMMAND>"), "{}", none.stderr);
}

#[test]
fn what_cannot_be_executed_is_refused_with_advice() {
    let session = Session::new().file("plain.py", "print('never')");
    refused(&session.run(["./plain.py"]), &["'./plain.py'", "python './plain.py'"]);
    refused(&session.run(["/"]), &["directory"]);
    let session = session.file("orphan", "#!/no/such/interpreter\n");
    let path = session.path().join("orphan");
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    refused(&session.run(["./orphan"]), &["interpreter named in its first line"]);
}

#[test]
fn an_output_that_cannot_be_written_is_known_before_the_command_starts() {
    let session = Session::new();
    let mark = session.path().join("started");
    for option in ["--html", "--trace"] {
        let session = Session::new().option(option).option("/no/such/directory/file");
        let outcome = session.run([first_python().path.to_str().unwrap(), "-c", &format!("open({mark:?}, 'w')")]);
        refused(&outcome, &["/no/such/directory/file"]);
        assert!(!mark.exists(), "{option}: the command ran");
    }
}

#[test]
fn a_full_disk_loses_nothing_that_was_said() {
    let session = Session::new().option("--html").option("/dev/full").file("app.py", "print('said')");
    let outcome = session.python(first_python(), &["app.py"]);
    assert_eq!(outcome.stdout, "said\n");
    assert_eq!(outcome.code, 2);
    assert!(outcome.stderr.contains("/dev/full") && outcome.stderr.contains("No space left"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("no races found"), "the report went nowhere: {}", outcome.stderr);
}

#[test]
fn a_command_that_is_no_python_runs_to_its_end_and_says_so() {
    let session = Session::new();
    let outcome = session.run(["sh", "-c", "cat; echo out; echo err >&2; exit 3"]);
    refused(&outcome, &["nothing was watched", "no Python was seen to start"]);
    assert_eq!(outcome.stdout, "out\n");
    assert!(outcome.stderr.starts_with("err\n"));
    assert!(outcome.not_watched().contains("no Python was seen to start"));
}

#[test]
fn options_that_keep_the_hook_away_are_named() {
    each_python(|python| {
        for option in ["-I", "-E", "-S", "-sE"] {
            let outcome = Session::new().python(python, &[option, "-c", "print(1)"]);
            let letter = format!("-{}", option.chars().last().unwrap());
            match outcome.report()["coverage"]["processes"].as_u64() {
                Some(0) => refused(&outcome, &["started with", &letter]),
                other => panic!("{option}: {other:?} processes were watched"),
            }
            assert_eq!(outcome.stdout, "1\n");
        }
    });
}

#[test]
fn older_versions_say_that_they_are_not_supported() {
    for python in all().iter().filter(|python| python.minor < 11) {
        let outcome = Session::new().python(python, &["-c", "print('ran')"]);
        refused(&outcome, &[&format!("CPython {}", python.name()), "3.11"]);
        assert_eq!(outcome.stdout, "ran\n");
    }
}

#[test]
fn options_are_checked_with_a_sentence() {
    for (option, value, word) in [("--timeout", "5", "500ms"), ("--fail-on", "fatal", "warning"), ("--format", "pdf", "json")] {
        let outcome = Session::new().option(option).option(value).run(["true"]);
        assert_eq!(outcome.code, 2);
        assert!(outcome.stderr.contains(word), "{option}: {}", outcome.stderr);
    }
}
