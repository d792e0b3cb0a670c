//! `racetrace diff OLD NEW`: what is new, gone and the same. Reads reports in JSON; traces are made into reports by the
//! caller.

use crate::cli::diff::DiffFormat;
use crate::finding::diff::{Diff, diff};
use crate::finding::{Finding, Report, Severity};
use crate::report::source::SourceMap;
use crate::report::words::thousands;
use crate::report::{Options, json, text};
use serde::Serialize;
use std::io::{self, Write};

/// The report in this file, if the file is one in JSON; `None` if it is something else, a trace perhaps.
///
/// # Errors
/// JSON that is not a report of a known schema.
pub fn parse_report(bytes: &[u8]) -> Result<Option<Report>, serde_json::Error> {
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Ok(None);
    }
    let report: Report = serde_json::from_slice(bytes)?;
    if report.schema == Report::SCHEMA {
        return Ok(Some(report));
    }
    let found = report.schema.escape_debug();
    Err(serde::de::Error::custom(format!("its schema is '{found}', expected '{}'", Report::SCHEMA)))
}

/// Writes the difference; tells the worst severity among the new findings.
///
/// # Errors
/// Those of `out`.
pub fn run(
    (old, new): (&Report, &Report),
    sources: &SourceMap,
    format: DiffFormat,
    options: &Options,
    out: &mut dyn Write,
) -> io::Result<Option<Severity>> {
    let difference = diff(old, new);
    match format {
        DiffFormat::Text => write_text(&difference, sources, options, out)?,
        DiffFormat::Json => json::to_writer(&Document::of(&difference), out)?,
    }
    Ok(difference.new.iter().map(|finding| finding.severity).max())
}

fn write_text(difference: &Diff<'_>, sources: &SourceMap, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    for finding in &difference.new {
        write!(out, "new: ")?;
        text::write_finding(finding, sources, options, out)?;
        writeln!(out)?;
    }
    for (word, findings) in [("gone", &difference.gone), ("same", &difference.same)] {
        for finding in findings {
            writeln!(out, "{word}: {}", text::headline(finding, sources, options.color))?;
        }
    }
    let counts = [difference.new.len(), difference.gone.len(), difference.same.len()].map(|count| thousands(count as u64));
    let [new, gone, same] = counts;
    writeln!(out, "racetrace: {new} new, {gone} gone, {same} the same")?;
    if !difference.gone.is_empty() {
        writeln!(out, "note: gone means not seen in the newer run; a race that needs luck to show may still be there")?;
    }
    Ok(())
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    new: &'a [&'a Finding],
    gone: &'a [&'a Finding],
    same: &'a [&'a Finding],
}

impl<'a> Document<'a> {
    fn of(difference: &'a Diff<'a>) -> Document<'a> {
        Document { schema: "racetrace.diff/1", new: &difference.new, gone: &difference.gone, same: &difference.same }
    }
}
