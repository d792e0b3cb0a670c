//! The end of every command that has a report: apply the policy, write all formats asked for, decide the exit code.
//!
//! In two steps, because a run may take hours: [`Delivery::prepare`] reads configuration and baseline and finds out that an
//! output cannot be written before the program starts; [`Delivery::deliver`] does the rest. Runs no program itself.

mod error;
mod files;
pub(super) mod settings;

pub use error::DeliverError;

use crate::cli::output::OutputArgs;
use crate::finding::policy::baseline::Baseline;
use crate::finding::policy::config::FailOn;
use crate::finding::policy::{Date, Policy, Reason, apply};
use crate::finding::{Report, Severity, merge};
use crate::report::chrome::{self, Chart};
use crate::report::source::SourceMap;
use crate::report::{self, Color, Format, Options};
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

/// The code that says "races found", as other race detectors use it.
pub const EXIT_RACES: u8 = 66;

/// Where a report without `--output` goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    /// The program's standard output is its own.
    Stderr,
}

/// All decisions about the report, made before there is one.
#[derive(Debug)]
pub struct Delivery {
    jobs: Vec<Job>,
    stream: Stream,
    color: Option<Color>,
    lowest: Severity,
    fail_on: FailOn,
    exit_code: u8,
    policy: Policy,
    write_baseline: Option<PathBuf>,
    no_source: bool,
    quiet: bool,
}

/// One report in one format.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Job {
    format: Format,
    /// `None`: the stream.
    file: Option<PathBuf>,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Findings at or above `--fail-on`.
    pub failing: usize,
    /// The code to exit with if there are any.
    pub exit_code: u8,
}

impl Verdict {
    /// The code for `racetrace` itself, given the code that the program ended with.
    #[must_use]
    pub fn exit(self, otherwise: u8) -> u8 {
        if self.failing > 0 { self.exit_code } else { otherwise }
    }
}

impl Delivery {
    /// Reads configuration and baseline; checks the outputs.
    ///
    /// # Errors
    /// A file that cannot be read, understood or written, or two formats for one terminal.
    pub fn prepare(args: &OutputArgs, stream: Stream) -> Result<Delivery, DeliverError> {
        let jobs = jobs(args)?;
        for file in jobs.iter().filter_map(|job| job.file.as_ref()).chain(&args.write_baseline) {
            files::check(file)?;
        }
        let settings = settings::load(args)?;
        Ok(Delivery {
            jobs,
            stream,
            color: settings::color(args.color),
            lowest: settings::lowest(args.severity),
            fail_on: settings.fail_on,
            exit_code: args.error_exitcode.unwrap_or(EXIT_RACES),
            policy: settings.policy,
            write_baseline: args.write_baseline.clone(),
            no_source: args.no_source,
            quiet: false,
        })
    }

    /// Quiet: prints nothing where nothing fails. Files are written all the same.
    #[must_use]
    pub fn quiet(self, quiet: bool) -> Delivery {
        Delivery { quiet, ..self }
    }

    /// Applies the policy to the report and writes it in all formats. `sources` should know the program's directory.
    ///
    /// # Errors
    /// An output that cannot be written; the other outputs are still attempted.
    pub fn deliver(&self, report: Report, sources: &SourceMap) -> Result<Verdict, DeliverError> {
        self.deliver_with(report, sources, &Chart::new())
    }

    /// Is a chart of the events wanted? It costs memory to make one.
    #[must_use]
    pub fn wants_chart(&self) -> bool {
        self.jobs.iter().any(|job| job.format == Format::Chrome)
    }

    /// [`Delivery::deliver`] with a chart of the events.
    ///
    /// # Errors
    /// As there.
    pub fn deliver_with(&self, mut report: Report, sources: &SourceMap, chart: &Chart) -> Result<Verdict, DeliverError> {
        if report.schema.is_empty() {
            Report::SCHEMA.clone_into(&mut report.schema);
        }
        self.hide(&mut report, sources)?;
        let failing = match self.write_baseline {
            Some(_) => 0,
            None => report.findings.iter().filter(|finding| self.fail_on.fails(finding.severity)).count(),
        };
        let bare = sources.without_source();
        let sources = if self.no_source { &bare } else { sources };
        let mut result = Ok(());
        for job in &self.jobs {
            if job.file.is_some() || failing > 0 || !self.quiet {
                result = result.and(self.perform(job, &report, sources, chart));
            }
        }
        // What a full disk has no room for is not lost.
        if result.is_err() && self.jobs.iter().all(|job| job.file.is_some()) {
            self.print(Format::Text, &report, sources, chart)?;
        }
        result.map(|()| Verdict { failing, exit_code: self.exit_code })
    }

    fn hide(&self, report: &mut Report, sources: &SourceMap) -> Result<(), DeliverError> {
        let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
        let hidden = self.hide_on(today, report, sources);
        let Some(file) = &self.write_baseline else { return Ok(()) };
        let accepted = hidden.iter().filter(|hidden| hidden.by == Reason::Baseline).map(|hidden| &hidden.finding);
        let baseline = Baseline::of(accepted.chain(&report.findings));
        report.notices.push(format!("{} finding(s) written to the baseline {}", baseline.len(), file.display()));
        files::write(file, baseline.to_json().as_bytes())
    }

    fn hide_on(&self, today: Date, report: &mut Report, sources: &SourceMap) -> Vec<crate::finding::policy::Hidden> {
        let before = report.findings.len();
        report.findings.retain(|finding| finding.severity >= self.lowest);
        let below = before - report.findings.len();
        if below > 0 {
            *report.coverage.hidden.entry("severity".to_owned()).or_default() += below as u64;
        }
        merge::sort(&mut report.findings);
        apply(&self.policy, report, sources, today)
    }

    fn perform(&self, job: &Job, report: &Report, sources: &SourceMap, chart: &Chart) -> Result<(), DeliverError> {
        let Some(file) = &job.file else { return self.print(job.format, report, sources, chart) };
        let options = Options { color: self.color.unwrap_or(Color::Never), ..Options::default() };
        files::write(file, &rendered(job.format, report, sources, &options, chart))
    }

    fn print(&self, format: Format, report: &Report, sources: &SourceMap, chart: &Chart) -> Result<(), DeliverError> {
        let (terminal, mut stream): (bool, Box<dyn Write>) = match self.stream {
            Stream::Stdout => (io::stdout().is_terminal(), Box::new(io::stdout().lock())),
            Stream::Stderr => (io::stderr().is_terminal(), Box::new(io::stderr().lock())),
        };
        let color = self.color.unwrap_or(if terminal && settings::terminal_takes_color() { Color::Always } else { Color::Never });
        let options = Options { color, width: width(terminal) };
        let bytes = rendered(format, report, sources, &options, chart);
        match stream.write_all(&bytes).and_then(|()| stream.flush()) {
            // Whoever reads has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => result.map_err(DeliverError::Print),
        }
    }
}

fn rendered(format: Format, report: &Report, sources: &SourceMap, options: &Options, chart: &Chart) -> Vec<u8> {
    let mut bytes = Vec::new();
    let result = match format {
        Format::Chrome => chrome::write(report, chart, &mut bytes),
        _ => report::write(format, report, sources, options, &mut bytes),
    };
    result.expect("writing to memory cannot fail");
    bytes
}

/// Columns for text on this terminal, or a fixed number where there is none.
#[must_use]
pub fn width(terminal: bool) -> usize {
    let width = terminal.then(|| terminal_size::terminal_size_of(io::stderr()).or_else(terminal_size::terminal_size)).flatten();
    width.map_or(Options::default().width, |(terminal_size::Width(columns), _)| usize::from(columns).min(140))
}

/// Pairs formats with files, in order.
fn jobs(args: &OutputArgs) -> Result<Vec<Job>, DeliverError> {
    let mut jobs = Vec::new();
    for index in 0..args.format.len().max(args.output.len()) {
        let file = args.output.get(index).cloned();
        let by_name = file.as_deref().and_then(Format::of_file);
        let format = args.format.get(index).copied().or(by_name).unwrap_or(Format::Text);
        jobs.push(Job { format, file });
    }
    if jobs.is_empty() {
        jobs.push(Job { format: Format::Text, file: None });
    }
    let extra = [(Format::Html, &args.html), (Format::Sarif, &args.sarif), (Format::Junit, &args.junit)];
    jobs.extend(extra.into_iter().filter_map(|(format, file)| Some(Job { format, file: Some(file.clone()?) })));
    let printed: Vec<Format> = jobs.iter().filter(|job| job.file.is_none()).map(|job| job.format).collect();
    match printed.as_slice() {
        // Annotations are lines of a log: they can stand beside a text report.
        [first, second, ..] if *first != Format::Github && *second != Format::Github => {
            Err(DeliverError::TwoOnOneStream(*first, *second))
        }
        _ => Ok(jobs),
    }
}

#[cfg(test)]
mod tests;
