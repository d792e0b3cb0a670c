//! `racetrace attach PID`: looks into a live process until the time is over, the user ends it or the process does, and
//! reports. It decides how often to look; what is seen is judged by the analysis.

use std::time::{Duration, Instant};

use super::deliver::{Delivery, Stream};
use super::failure::Failure;
use super::recording::{self, Recording};
use super::run::supervise::Signals;
use super::status::Status;
use crate::analysis::Analysis;
use crate::cli::attach::AttachArgs;
use crate::collect::sampler::amplifier::Amplifier;
use crate::collect::sampler::budget::Budget;
use crate::collect::sampler::look::Sampler;
use crate::collect::sampler::target::Target;
use crate::finding::Report;
use crate::report::source::SourceMap;

const DEFAULT_RATE: u32 = 250;
const DEFAULT_BUDGET: u32 = 10;

/// Looks, and reports. The result is the exit code.
///
/// # Errors
/// What keeps racetrace from looking into the process.
pub fn run(args: &AttachArgs) -> Result<u8, Failure> {
    if args.probe {
        return super::join::run(args);
    }
    let delivery = Delivery::prepare(&args.report, Stream::Stdout)?;
    let signals = Signals::hold()?;
    let target = Target::open(args.pid(), &mut Vec::new())?;
    let amplifier = args.switch_interval.map(|interval| Amplifier::start(&target, interval)).transpose()?;
    let mut session = Session::start(args, target)?;
    let ending = session.watch(args, &signals);
    drop(amplifier);
    session.finish(args, &delivery, ending)
}

/// What this thread has used of a processor so far: waiting for one is not our cost.
fn processor_time() -> Duration {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

/// Why looking came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    TimeOver,
    AskedTo,
    ProcessEnded,
    ProgramReplaced,
}

struct Session {
    sampler: Sampler,
    analysis: Analysis,
    recording: Recording,
    status: Status,
    sources: SourceMap,
}

impl Session {
    fn start(args: &AttachArgs, target: Target) -> Result<Session, Failure> {
        let recording = Recording::start(&args.recording, recording::sources(args.report.no_source))?;
        let mut sources = SourceMap::with_disk().relative_to(&target.process.directory);
        // A process with another root has its files below it.
        if target.process.own_root {
            sources.add_directory(format!("/proc/{}/root", target.process.pid));
        }
        let mut status = Status::new(args.quiet);
        status.begin(&format!("process {}", target.process.pid));
        let analysis = Analysis::new(super::analysis_options(&args.report));
        Ok(Session { sampler: Sampler::new(target), analysis, recording, status, sources })
    }

    fn watch(&mut self, args: &AttachArgs, signals: &Signals) -> Ending {
        let began = Instant::now();
        let mut budget = Budget::new(args.rate.unwrap_or(DEFAULT_RATE), args.budget.unwrap_or(DEFAULT_BUDGET));
        loop {
            let (look, work) = (Instant::now(), processor_time());
            if !self.look() {
                let replaced = self.sampler.target.process.has_program();
                return if replaced { Ending::ProgramReplaced } else { Ending::ProcessEnded };
            }
            self.status.draw(self.sampler.counts, budget.rate());
            let pause = budget.after(processor_time().saturating_sub(work), look.elapsed());
            if signals.asked_to_end() {
                return Ending::AskedTo;
            }
            match args.duration.map(|duration| duration.saturating_sub(began.elapsed())) {
                Some(Duration::ZERO) => return Ending::TimeOver,
                Some(left) => signals.pause_for(pause.min(left)),
                None => signals.pause_for(pause),
            }
        }
    }

    /// One look; false when the program is not there any more. What was read of another one in its place is dropped.
    fn look(&mut self) -> bool {
        let Ok(records) = self.sampler.look() else { return false };
        if !self.sampler.target.program.is_running() {
            return false;
        }
        for record in &records {
            self.analysis.record(record);
            self.recording.record(record);
        }
        let fresh = self.analysis.fresh();
        self.recording.tick(&fresh);
        for finding in &fresh {
            self.status.tell(finding, &self.sources);
        }
        true
    }

    fn finish(mut self, args: &AttachArgs, delivery: &Delivery, ending: Ending) -> Result<u8, Failure> {
        self.status.end();
        let mut report = self.analysis.report();
        self.complete(args, &mut report, ending);
        let broken = self.recording.finish(&mut report, &self.sources);
        let verdict = delivery.deliver(report, &self.sources)?;
        match broken {
            Some(failure) => Err(failure),
            None => Ok(verdict.exit(0)),
        }
    }

    /// What the sampler knows about its own work.
    fn complete(&self, args: &AttachArgs, report: &mut Report, ending: Ending) {
        let counts = self.sampler.counts;
        report.coverage.samples = counts.samples;
        report.coverage.dropped += counts.missed;
        report.coverage.threads = report.coverage.threads.max(counts.threads);
        report.coverage.tasks = report.coverage.tasks.max(counts.tasks);
        report.coverage.not_watched.push(format!(
            "{} looks gave nothing, {} sightings were discarded because the process moved on while it was read, {} stacks \
             could not be read",
            counts.missed, counts.unsure, counts.unread
        ));
        if counts.glances > 0 {
            report.coverage.not_watched.push(format!(
                "{} of {} looks only glanced at the stacks, because all threads were where they had often been looked at",
                counts.glances, counts.samples
            ));
        }
        if counts.left_out > 0 {
            report.coverage.not_watched.push(format!(
                "more tasks than one look takes: they were looked at in turns, and {} times one was not looked at",
                counts.left_out
            ));
        }
        if report.target.free_threaded {
            report.coverage.not_watched.push(
                "free-threaded build: no GIL parks a thread, so that only threads that wait and suspended coroutines were seen"
                    .into(),
            );
        }
        if let Some(interval) = args.switch_interval {
            report
                .notices
                .push(format!("the process switched threads every {interval:?} while it was looked at (--switch-interval)"));
        }
        if ending == Ending::ProcessEnded {
            report.notices.push("the process ended while it was looked at".into());
        }
        if ending == Ending::ProgramReplaced {
            let again = "the process replaced its program (exec) while it was looked at: attach again to look into the new one";
            report.notices.push(again.into());
        }
    }
}
