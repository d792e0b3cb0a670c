//! GitHub workflow commands: one annotation a finding, worst first. A step shows ten of each level; the others are listed
//! as plain lines of the log. The job's summary is the Markdown format's work.

use super::harmless::harmless;
use super::source::SourceMap;
use super::words;
use crate::finding::policy::Lines;
use crate::finding::{Finding, Report, Severity};
use std::io::{self, Write};

/// Annotations of one level that a step shows (docs.github.com, "Workflow commands" and "Limits").
const MOST_OF_A_LEVEL: usize = 10;

/// # Errors
/// Those of `out`.
pub fn write(report: &Report, sources: &SourceMap, out: &mut dyn Write) -> io::Result<()> {
    for severity in [Severity::Error, Severity::Warning, Severity::Note] {
        let findings = report.findings.iter().filter(|finding| finding.severity == severity);
        for (index, finding) in findings.enumerate() {
            if index < MOST_OF_A_LEVEL {
                annotation(finding, sources, out)?;
            } else {
                let headline = super::text::headline(finding, sources, super::Color::Never);
                writeln!(out, "racetrace: not annotated: {headline}")?;
            }
        }
    }
    writeln!(out, "racetrace: {}; {}", words::tally(report), words::watched(&report.coverage))?;
    for sentence in words::missed(&report.coverage) {
        writeln!(out, "racetrace: missed: {sentence}")?;
    }
    if let Some(hidden) = words::hidden(&report.coverage) {
        writeln!(out, "racetrace: {hidden}")?;
    }
    for notice in &report.notices {
        writeln!(out, "::notice title=racetrace::{}", data(&harmless(notice)))?;
    }
    Ok(())
}

fn annotation(finding: &Finding, sources: &SourceMap, out: &mut dyn Write) -> io::Result<()> {
    let level = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    let mut properties = Vec::new();
    if let Some(frame) = finding.accesses.first().and_then(|access| access.stack.first()) {
        properties.push(format!("file={}", property(&harmless(&sources.shown(&frame.file)))));
        properties.push(format!("line={}", frame.line.max(1)));
        if let Some((start, end)) = frame.columns.filter(|(start, end)| start < end) {
            properties.push(format!("col={},endColumn={end}", u64::from(start) + 1));
        }
    }
    let title = format!("{} {}", finding.kind, words::name(&finding.subject.name));
    properties.push(format!("title={}", property(&title)));
    writeln!(out, "::{level} {}::{}", properties.join(","), data(&message(finding, sources)))
}

fn message(finding: &Finding, sources: &SourceMap) -> String {
    let mut lines = vec![harmless(&finding.message).into_owned()];
    for access in &finding.accesses {
        let place = access.stack.first().map_or_else(|| "an unknown place".to_owned(), |frame| words::frame(sources, frame));
        let strand = format!("{} '{}'", words::name(&access.strand.kind), words::name(&access.strand.name));
        let locks = words::View::anywhere(sources).locks(&access.locks);
        lines.push(format!("{}: {} at {place} by {strand}, {locks}", words::name(&access.role), words::deed(access)));
    }
    if let Some(observed) = &finding.observed {
        lines.push(format!("{}: {}", words::sighting(finding).to_lowercase(), harmless(observed)));
    }
    lines.push(format!("help: {}", harmless(&finding.help)));
    if !finding.tests.is_empty() {
        let tests: Vec<String> = finding.tests.iter().map(|test| words::name(test)).collect();
        lines.push(format!("in {}", tests.join(", ")));
    }
    lines.push(format!("{}; {}", words::certainty(finding), words::seen(finding)));
    lines.join("\n")
}

/// A workflow command's message.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A workflow command's property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
