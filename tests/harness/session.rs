//! One run of `racetrace` on a program: a directory of its own, a report in JSON, and everything that came out.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::Python;

/// A directory with programs in it, and the arguments of a run to be.
pub struct Session {
    directory: TempDir,
    options: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
}

/// What a run left behind.
#[derive(Debug)]
pub struct Outcome {
    /// 128 + signal where one ended it.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    /// `None` where no report was written.
    pub report: Option<Value>,
}

pub fn racetrace() -> Command {
    // Shells have what they start in the background ignore SIGINT, and that is inherited.
    let mut command = Command::new("/usr/bin/env");
    command.arg("--default-signal=INT").arg(env!("CARGO_BIN_EXE_racetrace")).stdin(Stdio::null());
    for name in ["PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONUNBUFFERED", "RACETRACE_SESSION"] {
        command.env_remove(name);
    }
    command
}

impl Session {
    pub fn new() -> Self {
        Session { directory: TempDir::with_prefix("racetrace-test-").unwrap(), options: Vec::new(), environment: Vec::new() }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a file into the directory; the indentation of its first line is taken off all lines.
    pub fn file(self, name: &str, text: &str) -> Self {
        let text = text.strip_prefix('\n').unwrap_or(text);
        let indent = text.len() - text.trim_start_matches(' ').len();
        let lines = text.lines().map(|line| line.get(indent..).unwrap_or_else(|| line.trim_start()));
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, lines.map(|line| format!("{line}\n")).collect::<String>()).unwrap();
        self
    }

    /// An option of `racetrace run`.
    pub fn option(mut self, option: impl AsRef<OsStr>) -> Self {
        self.options.push(option.as_ref().to_owned());
        self
    }

    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    pub fn report_path(&self) -> PathBuf {
        self.path().join("report.json")
    }

    /// The command that would be run, with a report in JSON going to a file.
    pub fn command<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Command {
        let mut command = racetrace();
        command.current_dir(self.path()).envs(self.environment.iter().cloned());
        command.args(["run", "--format", "json", "--output"]).arg(self.report_path()).args(&self.options).arg("--").args(words);
        command
    }

    /// Runs `racetrace run … -- WORDS`.
    pub fn run<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Outcome {
        let wrapped = self.command(words);
        // A test that hangs is to fail, not to hang.
        let mut command = Command::new("timeout");
        command.args(["--foreground", "--kill-after=5", "120"]).arg(wrapped.get_program()).args(wrapped.get_args());
        command.current_dir(self.path()).stdin(Stdio::null());
        for (name, value) in wrapped.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        self.outcome(command.output().unwrap())
    }

    /// Runs a program of the directory.
    pub fn python(&self, python: &Python, arguments: &[&str]) -> Outcome {
        let words = [python.path.as_os_str()].into_iter().chain(arguments.iter().map(OsStr::new));
        self.run(words)
    }

    pub fn outcome(&self, output: Output) -> Outcome {
        let report = fs::read(self.report_path()).ok().map(|bytes| serde_json::from_slice(&bytes).expect("a report in JSON"));
        Outcome {
            code: output.status.code().unwrap_or_else(|| 128 + output.status.signal().unwrap_or(0)),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            report,
        }
    }
}

impl Outcome {
    pub fn report(&self) -> &Value {
        self.report.as_ref().unwrap_or_else(|| panic!("no report; exit {}, stderr: {}", self.code, self.stderr))
    }

    pub fn findings(&self) -> &[Value] {
        self.report()["findings"].as_array().expect("findings")
    }

    /// Kind and subject of the findings above a note, sorted.
    pub fn races(&self) -> Vec<String> {
        let above = self.findings().iter().filter(|finding| finding["severity"] != "note");
        let mut races: Vec<String> =
            above.map(|finding| format!("{} {}", text(&finding["kind"]), text(&finding["subject"]["name"]))).collect();
        races.sort();
        races
    }

    pub fn not_watched(&self) -> String {
        let list = self.report()["coverage"]["not_watched"].as_array().expect("not_watched");
        list.iter().map(text).collect::<Vec<_>>().join("\n")
    }

    pub fn coverage(&self, name: &str) -> u64 {
        self.report()["coverage"][name].as_u64().unwrap_or_else(|| panic!("no coverage.{name}"))
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
