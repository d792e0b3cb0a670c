//! Programs under `racetrace run` that end badly, or are made to: what was seen before is reported all the same.

mod harness;

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use harness::{Python, Session, each_python};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A race that is over before the program ends in the way that `{end}` says.
const RACY: &str = "
    import os, signal, sys, threading, time
    stock = 100

    def take(count):
        global stock
        if stock >= count:
            time.sleep(0.001)
            stock -= count

    threads = [threading.Thread(target=take, args=(1,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print('ready', flush=True)
    {end}
";

fn racy(end: &str) -> Session {
    Session::new().file("app.py", &RACY.replace("{end}", end))
}

fn reported(outcome: &harness::session::Outcome, python: &Python, how: &str) {
    let races = outcome.races();
    assert!(
        races.iter().any(|race| race.starts_with("check-then-act") && race.ends_with("stock")),
        "{} {how}: {races:?}",
        python.name()
    );
    assert!(outcome.stdout.contains("ready"));
    assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
}

#[test]
fn a_race_is_reported_however_the_program_ends() {
    each_python(|python| {
        for end in [
            "pass",
            "sys.exit(5)",
            "os._exit(9)",
            "os.kill(os.getpid(), signal.SIGKILL)",
            "os.abort()",
            "import ctypes; ctypes.string_at(0)",
            "raise MemoryError",
            "1 / 0",
            "import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 28, 1 << 28)); hoard = [bytearray(1 << 24) for _ in range(99999)]",
        ] {
            let outcome = racy(end).python(python, &["app.py"]);
            reported(&outcome, python, end);
            assert_eq!(outcome.code, 66, "{end}: {}", outcome.stderr);
        }
    });
}

#[test]
fn without_failing_the_programs_own_end_shows() {
    each_python(|python| {
        for (end, code) in [("sys.exit(5)", 5), ("os.kill(os.getpid(), signal.SIGKILL)", 137), ("os.abort()", 134), ("pass", 0)] {
            let outcome = racy(end).option("--fail-on").option("never").python(python, &["app.py"]);
            reported(&outcome, python, end);
            assert_eq!(outcome.code, code, "{end}: {}", outcome.stderr);
        }
        let outcome = racy("pass").option("--error-exitcode").option("9").python(python, &["app.py"]);
        assert_eq!(outcome.code, 9);
    });
}

/// Starts it, and waits until the program says that it is ready.
fn started(session: &Session, python: &Python) -> Child {
    let mut command = session.command([python.path.to_str().unwrap(), "app.py"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("ready") {
        line.clear();
        assert!(output.read_line(&mut line).unwrap() > 0, "ended without being ready");
    }
    child.stdout = Some(output.into_inner());
    child
}

#[test]
fn signals_find_the_program_and_end_in_a_report() {
    each_python(|python| {
        for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143), (Signal::SIGHUP, 129), (Signal::SIGUSR1, 138)] {
            let session = racy("while True: time.sleep(0.01)").option("--fail-on").option("never");
            let child = started(&session, python);
            kill(Pid::from_raw(child.id() as i32), signal).unwrap();
            let outcome = session.outcome(child.wait_with_output().unwrap());
            assert_eq!(outcome.code, code, "{signal}: {}", outcome.stderr);
            assert!(outcome.races().iter().any(|race| race.ends_with("stock")), "{signal}: {:?}", outcome.races());
        }
    });
}

#[test]
fn a_handler_of_the_program_decides() {
    each_python(|python| {
        let end =
            "signal.signal(signal.SIGTERM, lambda *_: sys.exit(4)); print('ready', flush=True)\nwhile True: time.sleep(0.01)";
        let session =
            Session::new().option("--fail-on").option("never").file("app.py", &format!("import signal, sys, time\n{end}"));
        let child = started(&session, python);
        kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).unwrap();
        let outcome = session.outcome(child.wait_with_output().unwrap());
        assert_eq!(outcome.code, 4, "{}", outcome.stderr);
    });
}

#[test]
fn a_time_limit_ends_the_program_and_reports() {
    each_python(|python| {
        let outcome = racy("time.sleep(600)").option("--timeout").option("3s").python(python, &["app.py"]);
        reported(&outcome, python, "timeout");
        assert_eq!(outcome.code, 66);
        let quiet = Session::new().file("app.py", "import time\ntime.sleep(600)").option("--timeout").option("500ms");
        let outcome = quiet.python(python, &["app.py"]);
        assert_eq!((outcome.code, outcome.races()), (124, vec![]), "{}", outcome.stderr);
    });
}

#[test]
fn a_time_limit_ends_children_too() {
    each_python(|python| {
        let program = "
            import subprocess, sys, time
            child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])
            print(child.pid, flush=True)
            time.sleep(600)
        ";
        let outcome = Session::new().file("app.py", program).option("--timeout").option("2s").python(python, &["app.py"]);
        let pid: i32 = outcome.stdout.trim().parse().unwrap();
        assert!(!alive(pid), "the child outlived the time limit");
    });
}

fn alive(pid: i32) -> bool {
    // A zombie that nobody has reaped yet does not live.
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn the_program_survives_the_end_of_racetrace() {
    each_python(|python| {
        let program = "
            import os, sys
            print('ready', flush=True)
            sys.stdin.readline()
            counter = {'n': 0}
            for _ in range(300000):
                counter['n'] += 1
            with open('done', 'w') as out:
                out.write(str(counter['n']))
        ";
        let session = Session::new().file("app.py", program);
        // What a killed racetrace cannot tidy up goes with the test's directory.
        let place = session.path().to_owned();
        let session = session.env("XDG_RUNTIME_DIR", place);
        let mut command = session.command([python.path.to_str().unwrap(), "app.py"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        std::io::Write::write_all(&mut input, b"go on\n").unwrap();
        // Its end closes the pipe.
        while output.read_line(&mut line).unwrap() > 0 {}
        assert_eq!(std::fs::read_to_string(session.path().join("done")).unwrap(), "300000");
    });
}
