//! `racetrace report TRACE…`: recorded events once more through the analysis, now or years later, here or elsewhere. It
//! needs nothing but the traces, and writes nothing but the report.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;

use super::deliver::{Delivery, Stream};
use super::failure::Failure;
use crate::analysis::{Analysis, Options};
use crate::cli::report::ReportArgs;
use crate::event::Event;
use crate::finding::{Report, merge};
use crate::report::chrome::Chart;
use crate::report::source::SourceMap;
use crate::trace::{self, Item, Missing, Reader, SourceLines};

/// Traces shorter than this are analysed before a progress bar could be read.
const WORTH_A_BAR: u64 = 32 << 20;
/// Records between two movements of the bar.
const STEP: u64 = 1 << 16;

/// Analyses the traces and delivers one report. The result is the exit code.
///
/// # Errors
/// A trace that cannot be read, or an output that cannot be written.
pub fn run(args: &ReportArgs) -> Result<u8, Failure> {
    let delivery = Delivery::prepare(&args.report, Stream::Stdout)?.quiet(args.quiet);
    let draw = if delivery.wants_chart() { Draw::Chart } else { Draw::Nothing };
    let (report, sources, chart) = analyse(&args.traces, &super::analysis_options(&args.report), draw)?;
    Ok(delivery.deliver_with(report, &sources, &chart)?.exit(0))
}

/// Whether the events are to be drawn as well as judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Draw {
    Nothing,
    Chart,
}

/// One report of all the traces, the source lines that travelled with them, and the chart of their events.
///
/// # Errors
/// A trace that cannot be read: what the others say is then no answer.
pub fn analyse(paths: &[PathBuf], options: &Options, draw: Draw) -> Result<(Report, SourceMap, Chart), Failure> {
    let readers: Vec<Reader> = distinct(paths).into_iter().map(Reader::open).collect::<Result<_, _>>()?;
    let bar = progress_bar(&readers);
    // Several traces keep the cores busy; fewer leave some to read ahead.
    let spare = readers.len() < rayon::current_num_threads();
    let results: Vec<Replayed> =
        readers.into_par_iter().map(|reader| Replay::new(options.clone(), draw, &bar).all_of(reader, spare)).collect();
    bar.finish_and_clear();
    let mut sources = SourceMap::with_disk();
    let mut reports = Vec::new();
    let mut chart = Chart::new();
    for (mut replayed, path) in results.into_iter().zip(distinct(paths)) {
        replayed.add_sources(&mut sources);
        chart.join(std::mem::take(&mut replayed.chart));
        reports.push(replayed.into_report(path, paths.len() > 1));
    }
    let report = match (reports.pop(), reports.is_empty()) {
        (Some(only), true) => only,
        (last, _) => merge::merge(reports.into_iter().chain(last).collect()),
    };
    Ok((report, sources, chart))
}

impl From<trace::Error> for Failure {
    fn from(error: trace::Error) -> Self {
        Failure::new(error.to_string()).advise(error.advice())
    }
}

/// The same trace named twice counts once.
fn distinct(paths: &[PathBuf]) -> Vec<&Path> {
    let mut seen = BTreeSet::new();
    paths.iter().map(PathBuf::as_path).filter(|path| seen.insert(path.canonicalize().unwrap_or(path.to_path_buf()))).collect()
}

/// Draws on a terminal only.
fn progress_bar(readers: &[Reader]) -> ProgressBar {
    let bytes = readers.iter().filter_map(Reader::length).sum();
    if bytes < WORTH_A_BAR {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("analysing {wide_bar} {bytes} of {total_bytes}, {eta} left");
    ProgressBar::new(bytes).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// What one trace came to.
struct Replayed {
    /// What the analysis says of the events that are there.
    report: Report,
    /// What was found while recording.
    recorded: Option<Report>,
    missing: Missing,
    lines: Vec<SourceLines>,
    directories: BTreeSet<String>,
    chart: Chart,
}

/// A trace on its way through the analysis.
struct Replay<'a> {
    analysis: Analysis,
    draw: Draw,
    bar: &'a ProgressBar,
    records: u64,
    position: u64,
    recorded: Option<Report>,
    lines: Vec<SourceLines>,
    directories: BTreeSet<String>,
    chart: Chart,
}

impl<'a> Replay<'a> {
    fn new(options: Options, draw: Draw, bar: &'a ProgressBar) -> Replay<'a> {
        Replay {
            analysis: Analysis::new(options),
            draw,
            bar,
            records: 0,
            position: 0,
            recorded: None,
            lines: Vec::new(),
            directories: BTreeSet::new(),
            chart: Chart::new(),
        }
    }

    /// `spare`: a core is free to read ahead.
    fn all_of(mut self, mut reader: Reader, spare: bool) -> Replayed {
        let missing = if spare {
            trace::ahead::read(reader, |item, position| self.item(item, position))
        } else {
            while let Some(item) = reader.next() {
                self.item(item, reader.position());
            }
            reader.missing().clone()
        };
        Replayed {
            report: self.analysis.report(),
            recorded: self.recorded,
            missing,
            lines: self.lines,
            directories: self.directories,
            chart: self.chart.finished(),
        }
    }

    #[inline]
    fn item(&mut self, item: Item, position: u64) {
        match item {
            Item::Record(record) => {
                self.analysis.record(&record);
                if self.draw == Draw::Chart {
                    self.chart.record(&record);
                }
                if let Event::Process(info) = record.event {
                    self.directories.insert(info.directory);
                }
                self.records += 1;
                if self.records.is_multiple_of(STEP) {
                    self.bar.inc(position - self.position);
                    self.position = position;
                }
            }
            Item::Report(report) => self.recorded = Some(*report),
            Item::Source(found) => self.lines.push(found),
        }
    }
}

impl Replayed {
    fn add_sources(&self, sources: &mut SourceMap) {
        for (file, lines) in self.lines.iter().flatten() {
            lines.iter().for_each(|(number, text)| sources.insert(file, *number, text));
        }
        self.directories.iter().for_each(|directory| sources.add_directory(directory));
    }

    /// The report, saying what the trace does not hold.
    fn into_report(self, path: &Path, several: bool) -> Report {
        let mut report = self.report;
        if let Some(recorded) = self.recorded {
            report = with_recorded(report, recorded, &self.missing);
        }
        let name = path.file_name().map_or_else(String::new, |name| format!("{}: ", name.to_string_lossy()));
        let prefix = if several { name.as_str() } else { "" };
        report.notices.extend(self.missing.sentences().iter().map(|sentence| format!("{prefix}{sentence}")));
        report
    }
}

/// Where events are lost, what was found while they were there still holds. Where none are, the events say it all.
fn with_recorded(mut report: Report, recorded: Report, missing: &Missing) -> Report {
    if report.target.command.is_empty() {
        report.target = recorded.target;
    }
    if missing.events() {
        let known: BTreeSet<_> = recorded.findings.iter().map(|finding| (finding.fingerprint.clone(), finding.basis)).collect();
        report.findings.retain(|finding| !known.contains(&(finding.fingerprint.clone(), finding.basis)));
        report.findings.extend(recorded.findings);
        merge::sort(&mut report.findings);
        report.coverage = recorded.coverage;
    }
    report
}
