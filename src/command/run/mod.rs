//! `racetrace run`: wraps a command, and reports the races of the Python programs that it ran. From start to end:
//! check what was asked for, make a session, start the command, collect and judge until it has ended, report.
//!
//! | module | holds |
//! |---|---|
//! | [`supervise`] | the command's life: terminal, signals, time limit |
//! | [`judge`] | the thread that takes the events: trace file and analysis |
//! | [`unwatched`] | why no interpreter was seen, as far as can be told |

pub mod judge;
pub mod supervise;
pub mod unwatched;

use std::ffi::OsString;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::deliver::{Delivery, Stream};
use super::failure::Failure;
use crate::cli::run::RunArgs;
use crate::collect::session::clock::SessionClock;
use crate::collect::session::collector::{Collector, Ending, Outcome};
use crate::collect::session::directory::SessionDirectory;
use crate::collect::session::notes;
use crate::event::ProcessId;
use crate::report::chrome::Chart;
use judge::{Judge, Judged};
use supervise::{Ended, Signals, Supervised};

/// Processes that outlive the command are waited for so long, unless asked otherwise.
const PATIENCE: Duration = Duration::from_secs(2);
/// Batches between collector and judge: bounds memory, and makes the target wait rather than the report suffer.
const BATCHES: usize = 16;

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
    let signals = Signals::hold().map_err(|error| Failure::new(format!("cannot prepare to receive signals: {error}")))?;
    let directory = SessionDirectory::create().map_err(|error| {
        Failure::new(error.to_string()).advise("set TMPDIR to a directory with some room that is not mounted noexec")
    })?;
    let judge = Judge::new(args, delivery.wants_chart().then(Chart::new))?;
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
    let (outcome, judged) = session.end(args, &signals, &directory, &ended)?;
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

/// The two threads of a session.
struct Session {
    collector: JoinHandle<Outcome>,
    judge: JoinHandle<Judged>,
    ending: mpsc::Sender<Ending>,
    remarks: mpsc::SyncSender<judge::Message>,
}

impl Session {
    fn start(directory: &SessionDirectory, judge: Judge) -> Result<Session, Failure> {
        let (sink, batches) = mpsc::sync_channel(BATCHES);
        let (ending, endings) = mpsc::channel();
        let remarks = sink.clone();
        let collector = Collector::new(directory.rings(), SessionClock::start(), sink, endings);
        let start = |error: std::io::Error| Failure::new(format!("cannot start a thread: {error}"));
        let judge = std::thread::Builder::new().name("judge".into()).spawn(move || judge.run(&batches)).map_err(start)?;
        let collector = std::thread::Builder::new().name("collector".into()).spawn(move || collector.run()).map_err(start)?;
        Ok(Session { collector, judge, ending, remarks })
    }

    /// Waits for what the processes still have to say, adds what could not be watched, and has it judged.
    fn end(
        self,
        args: &RunArgs,
        signals: &Signals,
        directory: &SessionDirectory,
        ended: &Ended,
    ) -> Result<(Outcome, Judged), Failure> {
        let patience = if ended.timed_out { Duration::ZERO } else { args.wait.unwrap_or(PATIENCE) };
        let _ = self.ending.send(Ending { patience });
        while !self.collector.is_finished() {
            signals.pause();
            if signals.asked_to_end() {
                let _ = self.ending.send(Ending { patience: Duration::ZERO });
            }
        }
        let outcome = self.collector.join().map_err(|_| Failure::new("the collector has failed; this is a bug in racetrace"))?;
        let remarks = unwatched::remarks(&outcome, &notes::read(&directory.notes()), ended, &args.command);
        let _ = self.remarks.send(judge::batch_of(&remarks, ProcessId(outcome.processes)));
        drop(self.remarks);
        let judged = self.judge.join().map_err(|_| Failure::new("the analysis has failed; this is a bug in racetrace"))?;
        Ok((outcome, judged))
    }
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
