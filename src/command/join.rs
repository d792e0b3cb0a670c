//! `racetrace --pid PID --probe`: has the probes loaded into a process that runs already, and reports what they tell until
//! the time is over, the user ends it or the process does. The process goes on either way, as it was.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::deliver::{Delivery, Stream};
use super::failure::Failure;
use super::run::judge::{Announce, Judge, Remark};
use super::run::session::Session;
use super::run::supervise::Signals;
use super::run::unwatched::said_by_agents;
use crate::cli::attach::AttachArgs;
use crate::collect::sampler::target::Target;
use crate::collect::session::collector::Outcome;
use crate::collect::session::directory::SessionDirectory;
use crate::collect::session::joining::{Entrance, JoinError, Request};
use crate::collect::session::notes;
use crate::report::chrome::Chart;
use crate::target::process::Process;

/// How often it is looked whether the process has done what it was asked.
const LOOK: Duration = Duration::from_millis(5);
const LOOK_LATER: Duration = Duration::from_millis(50);
/// Threads come and go, and with them what they were asked.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// After so many times the user is told.
const IN_VAIN: u32 = 10;
/// What the agents have still to say when the end comes: nothing that anybody would wait for.
const PATIENCE: Duration = Duration::ZERO;

/// Joins, and reports. The result is the exit code.
///
/// # Errors
/// What keeps the probes from being loaded.
pub fn run(args: &AttachArgs) -> Result<u8, Failure> {
    let delivery = Delivery::prepare(&args.report, Stream::Stdout)?;
    let signals = Signals::hold()?;
    let target = Target::open(args.pid(), &mut Vec::new())?;
    let entrance = Entrance::find(&target).map_err(|error| refused(&target.process, &error))?;
    let no_directory = |error: crate::collect::session::directory::DirectoryError| {
        Failure::new(error.to_string()).advise("set TMPDIR to a directory with some room that the process can read too")
    };
    let directory = SessionDirectory::create().map_err(no_directory)?;
    let (user, group) = owner(&target.process)?;
    let script = directory.prepare_joining(user, group).map_err(no_directory)?;
    let is_watched = !args.quiet && std::io::stderr().is_terminal();
    let announce = if is_watched { Announce::Everything } else { Announce::Nothing };
    let judge = Judge::new(&args.recording, &args.report, announce, delivery.wants_chart().then(Chart::new))?;
    let session = Session::start(&directory, judge)?;
    let asked = Asked::new(&target, entrance, &script).map_err(|error| refused(&target.process, &error))?;
    let joined = watch(args, &signals, &directory, asked);
    let notes = notes::read(&directory.notes());
    let (outcome, judged) = session.end(PATIENCE, &signals, |outcome| remarks(outcome, &notes))?;
    if outcome.processes == 0 {
        let why = notes.first().map_or_else(|| unheard(joined), |note| note.why.clone());
        return Err(Failure::new(format!("nothing was watched in process {}: {why}", target.process.pid))
            .advise("leave --probe out to look in by sampling"));
    }
    let verdict = delivery.deliver_with(judged.report, &super::run::judge::sources(), &judged.chart)?;
    match judged.broken {
        Some(broken) => Err(broken),
        None => Ok(verdict.exit(0)),
    }
}

fn refused(process: &Process, error: &JoinError) -> Failure {
    Failure::new(format!("cannot load probes into process {}: {error}", process.pid)).advise(error.advice())
}

fn unheard(joined: bool) -> String {
    if joined { "the probes were not loaded" } else { "none of its threads has run Python code meanwhile" }.to_owned()
}

/// Whose process it is.
fn owner(process: &Process) -> Result<(u32, u32), Failure> {
    let found = std::fs::metadata(format!("/proc/{}", process.pid));
    found.map(|found| (found.uid(), found.gid())).map_err(|_| Failure::new(format!("process {} has ended", process.pid)))
}

/// What a process was asked, as long as it has not begun to do it.
struct Asked<'a> {
    target: &'a Target,
    script: &'a Path,
    request: Request,
    at: Instant,
    times: u32,
}

impl<'a> Asked<'a> {
    fn new(target: &'a Target, entrance: Entrance, script: &'a Path) -> Result<Asked<'a>, JoinError> {
        Ok(Asked { target, script, request: entrance.ask(target, script)?, at: Instant::now(), times: 1 })
    }

    /// Asks the threads that there are by now, too.
    fn ask_again(&mut self, quiet: bool) {
        if self.at.elapsed() >= ASK_AGAIN {
            self.request.renew(self.target, self.script);
            self.at = Instant::now();
            self.times += 1;
            if self.times == IN_VAIN && !quiet {
                let _ = writeln!(
                    std::io::stderr(),
                    "racetrace: process {} does not run Python code; waiting until it does",
                    self.target.process.pid
                );
            }
        }
    }
}

/// Until the time is over, somebody asks for the end or the process ends. Did it begin to do what it was asked?
fn watch(args: &AttachArgs, signals: &Signals, directory: &SessionDirectory, asked: Asked<'_>) -> bool {
    let began = Instant::now();
    let process = &asked.target.process;
    let mut asked = Some(asked);
    loop {
        if asked.is_some() && directory.is_joined() {
            asked = None;
            if !args.quiet {
                let _ = writeln!(std::io::stderr(), "racetrace: process {} is watched", process.pid);
            }
        }
        asked.iter_mut().for_each(|asked| asked.ask_again(args.quiet));
        let left = args.duration.map(|duration| duration.saturating_sub(began.elapsed()));
        let failed = asked.is_none() && !notes::read(&directory.notes()).is_empty();
        if signals.asked_to_end() || left == Some(Duration::ZERO) || failed || !process.is_alive() {
            return asked.is_none();
        }
        let pause = if asked.is_some() { LOOK } else { LOOK_LATER };
        signals.pause_for(left.map_or(pause, |left| left.min(pause)));
    }
}

fn remarks(outcome: &Outcome, notes: &BTreeSet<notes::Note>) -> Vec<Remark> {
    let mut remarks = said_by_agents(outcome, notes);
    let why = "functions that ran already and may have held a lock count once they are left; tasks that were there do not";
    remarks.push(Remark::new("what was under way when the probes were loaded", why));
    remarks
}
