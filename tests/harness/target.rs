//! A Python program to look into: started, known to be ready, spoken to, and ended when the test is over.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::Python;
use super::pythons::all;
use super::session::racetrace;

/// A program that has said `ready`, killed at the end.
pub struct Target {
    pub child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
    _home: tempfile::TempDir,
}

impl Target {
    pub fn start(python: &Python, program: &str) -> Target {
        Target::start_by(&mut Command::new(&python.path), program)
    }

    /// By a command whose last word is to be the file of the program.
    pub fn start_by(command: &mut Command, program: &str) -> Target {
        let home = tempfile::tempdir().expect("a directory");
        let file = home.path().join("app.py");
        std::fs::write(&file, program).expect("a program");
        std::fs::set_permissions(home.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("it is ours");
        let child = command.arg(&file).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python starts");
        Target::ready(child, home)
    }

    /// A program that is an argument: for interpreters that do not see our files.
    pub fn inline(command: &mut Command, program: &str) -> Target {
        let home = tempfile::tempdir().expect("a directory");
        let child = command.args(["-c", program]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        Target::ready(child.expect("python starts"), home)
    }

    fn ready(mut child: Child, home: tempfile::TempDir) -> Target {
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut target = Target { child, lines, _home: home };
        target.wait_for("ready");
        target
    }

    pub fn wait_for(&mut self, word: &str) {
        let found = self.lines.by_ref().map_while(Result::ok).any(|line| line == word);
        assert!(found, "the program ended before it said {word}");
    }

    /// The next line that it says.
    pub fn hear(&mut self) -> String {
        self.lines.next().and_then(Result::ok).expect("the program says something")
    }

    pub fn say(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().expect("piped");
        stdin.write_all(line.as_bytes()).and_then(|()| stdin.flush()).expect("the program listens");
    }

    pub fn pid(&self) -> String {
        self.child.id().to_string()
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).expect("a pid")), signal).expect("it runs");
    }

    /// A signal that stops a process takes its time.
    pub fn stopped(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("it runs");
        stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T'))
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// On every interpreter that there is, also those which `racetrace run` does not support.
pub fn everywhere(test: impl Fn(&Python) + std::panic::RefUnwindSafe) {
    let fails = |python: &&Python| {
        eprintln!("--- {}", python.name());
        std::panic::catch_unwind(|| test(python)).is_err()
    };
    let failed: Vec<String> = all().iter().filter(fails).map(Python::name).collect();
    assert!(failed.is_empty(), "failed on {}", failed.join(", "));
}

/// Looks with these options; what came out, and the report.
pub fn look(target: &Target, options: &[&str]) -> (Output, Value) {
    look_at(&target.pid(), options)
}

pub fn look_at(pid: &str, options: &[&str]) -> (Output, Value) {
    let output = racetrace().args(["--pid", pid, "--format", "json"]).args(options).output().expect("racetrace runs");
    let report = report_of(&output);
    (output, report)
}

pub fn report_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

pub fn findings(report: &Value) -> &[Value] {
    report["findings"].as_array().map_or(&[], Vec::as_slice)
}
