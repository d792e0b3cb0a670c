//! The thread that takes the events as they come: into the trace file and the analysis. What is to be known at once it
//! prints itself.

use std::io::{IsTerminal, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use crate::analysis::Analysis;
use crate::cli::output::OutputArgs;
use crate::cli::trace::TraceArgs;
use crate::command::analysis_options;
use crate::command::deliver::settings::terminal_takes_color;
use crate::command::deliver::width;
use crate::command::failure::Failure;
use crate::command::recording::{self, Recording};
use crate::event::{Event, ProcessId, Record, TextId, Tid};
use crate::finding::{Finding, Kind, Report};
use crate::report::chrome::Chart;
use crate::report::source::SourceMap;
use crate::report::{self, Color, text};
use crate::target::threads::stands_still;

/// How long the trace may lag behind while nothing happens.
const IDLE: Duration = Duration::from_millis(200);

/// What travels from the collector.
pub type Message = Vec<Record>;

/// What could not be watched, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    pub what: String,
    pub why: String,
}

impl Remark {
    pub fn new(what: &str, why: &str) -> Self {
        Remark { what: what.to_owned(), why: why.to_owned() }
    }
}

/// The remarks as events of a process of their own, so that a trace holds them too.
pub fn batch_of(remarks: &[Remark], process: ProcessId) -> Message {
    let mut batch = Vec::new();
    let mut next = 1;
    for remark in remarks {
        let (what, why) = (TextId(next), TextId(next + 1));
        next += 2;
        let said = Event::NotWatched { what, why };
        let texts = [(what, &remark.what), (why, &remark.why)].map(|(id, text)| Event::Text { id, text: text.clone() });
        let events = texts.into_iter().chain([said]);
        batch.extend(events.map(|event| Record { time: 0, process, thread: Tid(0), event }));
    }
    batch
}

/// The analysis and what is fed beside it.
pub struct Judge {
    analysis: Analysis,
    recording: Recording,
    announce: Announce,
    /// Only where it is wanted.
    chart: Option<Chart>,
}

/// What is said at once, on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Announce {
    Nothing,
    /// They cannot wait for an end that does not come.
    Deadlocks,
    /// Each finding in a line.
    Everything,
}

/// What is known at the end.
#[derive(Debug)]
pub struct Judged {
    pub report: Report,
    /// Empty unless it was wanted.
    pub chart: Chart,
    /// Why the trace is not what it should be.
    pub broken: Option<Failure>,
}

impl Judge {
    /// Creates the trace file, if one is wanted.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn new(trace: &TraceArgs, report: &OutputArgs, announce: Announce, chart: Option<Chart>) -> Result<Judge, Failure> {
        let recording = Recording::start(trace, recording::sources(report.no_source))?;
        Ok(Judge { analysis: Analysis::new(analysis_options(report)), recording, announce, chart })
    }

    /// Takes batches until nobody sends any more, and gives them back empty.
    pub fn run(mut self, batches: &Receiver<Message>, back: &SyncSender<Message>) -> Judged {
        let (mut latest, mut quiet) = (0, Instant::now());
        loop {
            match batches.recv_timeout(IDLE) {
                Ok(mut batch) => {
                    latest = batch.iter().map(|record| record.time).fold(latest, u64::max);
                    quiet = Instant::now();
                    batch.drain(..).for_each(|record| self.take(&record));
                    let _ = back.try_send(batch);
                }
                // A program that hangs says nothing more.
                Err(RecvTimeoutError::Timeout) => {
                    let silence = u64::try_from(quiet.elapsed().as_nanos()).unwrap_or(u64::MAX);
                    self.analysis.tick(latest.saturating_add(silence), &stands_still);
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let fresh = self.analysis.fresh();
            self.recording.tick(&fresh);
            match self.announce {
                Announce::Nothing => {}
                Announce::Deadlocks => announce_deadlocks(&fresh),
                Announce::Everything => announce_all(&fresh),
            }
        }
        let mut report = self.analysis.report();
        let broken = self.recording.finish(&mut report, &sources());
        Judged { report, chart: self.chart.map(Chart::finished).unwrap_or_default(), broken }
    }

    fn take(&mut self, record: &Record) {
        self.analysis.record(record);
        self.recording.record(record);
        if let Some(chart) = &mut self.chart {
            chart.record(record);
        }
    }
}

/// Source lines from disk; paths below the current directory are shown relative to it.
pub fn sources() -> SourceMap {
    SourceMap::with_disk().relative_to(std::env::current_dir().unwrap_or_default())
}

fn announce_all(fresh: &[Finding]) {
    if fresh.is_empty() {
        return;
    }
    let (sources, color) = (sources(), if terminal_takes_color() { Color::Always } else { Color::Never });
    for finding in fresh {
        let _ = writeln!(std::io::stderr(), "{}", text::headline(finding, &sources, color));
    }
}

/// A program that hangs is looked at while it hangs.
fn announce_deadlocks(fresh: &[Finding]) {
    let mut deadlocks = fresh.iter().filter(|finding| finding.kind == Kind::Deadlock).peekable();
    if deadlocks.peek().is_none() {
        return;
    }
    let options = report::Options { width: width(std::io::stderr().is_terminal()), ..report::Options::default() };
    let (sources, mut text) = (sources(), Vec::new());
    for finding in deadlocks {
        let _ = text::write_finding(finding, &sources, &options, &mut text);
    }
    let _ = std::io::stderr().write_all(&text);
}
