//! The trace beside a live analysis: what goes into it, and when. A trace that cannot be written any more ends neither the
//! run nor the report; that is said in the report.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::cli::trace::TraceArgs;
use crate::command::failure::Failure;
use crate::event::Record;
use crate::finding::policy::Lines;
use crate::finding::{Finding, Report};
use crate::trace::excerpt::excerpts;
use crate::trace::{Options, Policy, Writer};

/// What a crash of racetrace itself may cost at most.
const FLUSH_EVERY: Duration = Duration::from_millis(500);

/// A trace being recorded, or none.
pub struct Recording {
    writer: Option<Writer>,
    /// With a limit, findings must not depend on events that may have to go.
    found: Option<BTreeMap<String, Finding>>,
    flushed: Instant,
    /// The first thing that went wrong.
    problem: Option<crate::trace::Error>,
}

/// Whether source lines go into the trace.
pub fn sources(no_source: bool) -> Policy {
    if no_source { Policy::LeaveOut } else { Policy::Keep }
}

impl Recording {
    /// Creates the file, if one is wanted.
    ///
    /// # Errors
    /// A file that cannot be created.
    pub fn start(args: &TraceArgs, sources: Policy) -> Result<Recording, Failure> {
        let values = if args.no_values { Policy::LeaveOut } else { Policy::Keep };
        let options = Options { limit: args.trace_limit, sources, values };
        let writer = args.trace.as_ref().map(|path| Writer::create(path, options)).transpose()?;
        let found = args.trace_limit.map(|_| BTreeMap::new());
        Ok(Recording { writer, found, flushed: Instant::now(), problem: None })
    }

    pub fn record(&mut self, record: &Record) {
        if let Some(writer) = &mut self.writer {
            let result = writer.record(record);
            self.note(result);
        }
    }

    /// Call this now and then, also when nothing happens; `fresh` are findings that are new or surer.
    pub fn tick(&mut self, fresh: &[Finding]) {
        let Some(writer) = &mut self.writer else { return };
        let mut result = Ok(());
        if let Some(found) = self.found.as_mut().filter(|_| !fresh.is_empty()) {
            found.extend(fresh.iter().map(|finding| (finding.fingerprint.clone(), finding.clone())));
            let findings = found.values().cloned().collect();
            result = writer.findings(&Report { schema: Report::SCHEMA.to_owned(), findings, ..Report::default() });
        }
        if self.flushed.elapsed() >= FLUSH_EVERY {
            result = result.and(writer.flush());
            self.flushed = Instant::now();
        }
        self.note(result);
    }

    /// Ends the trace; the report learns what went wrong with it, and so does the caller.
    pub fn finish(mut self, report: &mut Report, lines: &dyn Lines) -> Option<Failure> {
        if let Some(mut writer) = self.writer.take() {
            let result = writer.source(&excerpts(report, lines)).and_then(|()| writer.finish(report));
            self.note(result);
        }
        let problem = self.problem?;
        report.notices.push(format!("the trace is not complete: {problem}; {}", problem.advice()));
        Some(problem.into())
    }

    fn note(&mut self, result: Result<(), crate::trace::Error>) {
        if let Err(error) = result {
            self.problem.get_or_insert(error);
        }
    }
}
