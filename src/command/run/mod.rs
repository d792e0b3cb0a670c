//! `racetrace run`: wraps a command, and reports the races of the Python programs that it ran. From start to end:
//! check what was asked for, make a session, start the command, collect and judge until it has ended, report.
//!
//! | module | holds |
//! |---|---|
//! | [`supervise`] | the command's life: terminal, signals, time limit |
//! | [`judge`] | the thread that takes the events: trace file and analysis |
//! | [`session`] | the threads between the agents and the report |
//! | [`unwatched`] | why no interpreter was seen, as far as can be told |

pub mod judge;
pub mod session;
pub mod supervise;
pub mod unwatched;

use std::ffi::OsString;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::deliver::{Delivery, Stream};
use super::failure::Failure;
use crate::cli::run::RunArgs;
use crate::collect::session::collector::Outcome;
use crate::collect::session::directory::SessionDirectory;
use crate::collect::session::notes;
use crate::report::chrome::Chart;
use judge::{Announce, Judge, Judged};
use session::Session;
use supervise::{Ended, Signals, Supervised};

/// Processes that outlive the command are waited for so long, unless asked otherwise.
const PATIENCE: Duration = Duration::from_secs(2);

/// Exit code of a command that ran out of time, as `timeout(1)` has it.
const TIMED_OUT: u8 = 124;

/// Installed packages that the agent is to watch, by commas.
const WATCH_VARIABLE: &str = "RACETRACE_WATCH";

/// Runs the command and reports. The result is the exit code.
///
/// # Errors
/// What keeps racetrace, not the command, from doing its work.
pub fn run(args: &RunArgs) -> Result<u8, Failure> {
    let (program, arguments) = args.command.split_first().ok_or_else(no_command)?;
    check_program(program)?;
    let delivery = Delivery::prepare(&args.report, Stream::Stderr)?.quiet(args.quiet);
    let signals = Signals::hold()?;
    let directory = SessionDirectory::create().map_err(|error| {
        Failure::new(error.to_string()).advise("set TMPDIR to a directory with some room that is not mounted noexec")
    })?;
    let chart = delivery.wants_chart().then(Chart::new);
    let judge = Judge::new(&args.trace, &args.report, Announce::Deadlocks, chart)?;
    let mark = directory.mark();
    let mut command = Command::new(program);
    command.args(arguments).envs(directory.environment());
    if !args.watch.is_empty() {
        command.env(WATCH_VARIABLE, args.watch.join(","));
    }
    let session = Session::start(&directory, judge)?;
    let say = Verbose(args.verbose);
    say.say(&format!("the session is {mark}"));
    let child = Supervised::start(&mut command, &signals, &mark).map_err(|error| cannot_start(program, &error))?;
    let ended = child.wait(args.timeout).map_err(|error| Failure::new(format!("cannot wait for the command: {error}")))?;
    say.say(&if ended.timed_out {
        "the command was out of time and ended".to_owned()
    } else {
        format!("the command ended: {}", ended.status)
    });
    let patience = if ended.timed_out { Duration::ZERO } else { args.wait.unwrap_or(PATIENCE) };
    let remarks = |outcome: &Outcome| unwatched::remarks(outcome, &notes::read(&directory.notes()), &ended, &args.command);
    let (outcome, judged) = session.end(patience, &signals, remarks)?;
    say.say(&format!("{} Python process(es) watched", outcome.processes));
    conclude(args, &delivery, &ended, &outcome, judged)
}

/// What is being done, for those who want to know.
struct Verbose(bool);

impl Verbose {
    fn say(&self, what: &str) {
        if self.0 {
            let _ = writeln!(std::io::stderr(), "racetrace: {what}");
        }
    }
}

fn no_command() -> Failure {
    Failure::new("no command to run").advise("racetrace run -- python app.py")
}

/// Finds out before anything is made or started whether the program is there at all.
fn check_program(program: &OsString) -> Result<(), Failure> {
    if program.is_empty() {
        return Err(no_command());
    }
    let name = Path::new(program);
    let found = if name.components().count() > 1 || program.to_string_lossy().contains('/') {
        name.exists()
    } else {
        std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|directory| directory.join(name).exists()))
    };
    if found { Ok(()) } else { Err(cannot_start(program, &ErrorKind::NotFound.into())) }
}

fn cannot_start(program: &OsString, error: &std::io::Error) -> Failure {
    let shown = program.to_string_lossy();
    match error.kind() {
        ErrorKind::NotFound if Path::new(program).exists() => {
            Failure::new(format!("cannot run '{shown}': the interpreter named in its first line does not exist"))
                .advise(format!("racetrace run -- python '{shown}'"))
        }
        ErrorKind::NotFound => Failure::new(format!("cannot run '{shown}': there is no such program"))
            .advise("check the spelling and PATH; a shell builtin needs racetrace run -- sh -c '…'"),
        ErrorKind::PermissionDenied => {
            Failure::new(format!("cannot run '{shown}': it is a directory, or a file without permission to be executed"))
                .advise(format!("racetrace run -- python '{shown}', or chmod +x '{shown}'"))
        }
        _ => Failure::new(format!("cannot run '{shown}': {error}"))
            .advise(format!("a script needs a first line such as #!/usr/bin/env python3, or racetrace run -- python '{shown}'")),
    }
}

/// Reports, and decides on the exit code.
fn conclude(args: &RunArgs, delivery: &Delivery, ended: &Ended, outcome: &Outcome, judged: Judged) -> Result<u8, Failure> {
    let mut report = judged.report;
    if report.target.command.is_empty() {
        report.target.command = args.command.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    }
    let unseen = (outcome.processes == 0).then(|| unwatched::nothing_seen(&report));
    let verdict = if unseen.is_some() && args.report.output.is_empty() {
        None
    } else {
        Some(delivery.deliver_with(report, &judge::sources(), &judged.chart)?)
    };
    let own = if ended.timed_out { TIMED_OUT } else { ended.code() };
    match (unseen, judged.broken) {
        (Some(failure), _) => Err(failure),
        (None, Some(broken)) => Err(broken),
        (None, None) => Ok(verdict.map_or(own, |verdict| verdict.exit(own))),
    }
}
