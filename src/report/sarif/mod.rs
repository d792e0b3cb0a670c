//! SARIF 2.1.0, for code scanning and editors: rules from the catalogue, both sides of each finding, and one thread flow a
//! strand. Follows the OASIS standard and the rules of GitHub's code scanning on top of it.

mod model;

use super::json;
use super::source::SourceMap;
use super::words;
use super::{harmless::harmless, harmless::is_harmful};
use crate::finding::catalogue::page;
use crate::finding::policy::Lines;
use crate::finding::{AccessReport, Finding, Frame, Kind, Report, Severity};
use model::{
    ArtifactContent, ArtifactLocation, Automation, CodeFlow, Configuration, Driver, Fingerprints, FlowLocation, Help, Invocation,
    Location, Log, Notification, Physical, Region, RelatedLocation, Rule, RuleProperties, Run, SarifResult, Text, ThreadFlow,
    Tool,
};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Code scanning takes no more results from one run.
const MOST_RESULTS: usize = 25_000;

/// # Errors
/// Those of `out`.
pub fn write(report: &Report, sources: &SourceMap, out: &mut dyn Write) -> io::Result<()> {
    let log = Log {
        schema: "https://json.schemastore.org/sarif-2.1.0.json",
        version: "2.1.0",
        runs: vec![Run {
            tool: Tool { driver: driver() },
            automation_details: Automation { id: "racetrace/" },
            column_kind: "unicodeCodePoints",
            invocations: vec![invocation(report)],
            results: report.findings.iter().take(MOST_RESULTS).map(|finding| result(finding, sources)).collect(),
        }],
    };
    json::to_writer(&log, out)
}

fn driver() -> Driver {
    Driver { name: "racetrace", semantic_version: env!("CARGO_PKG_VERSION"), rules: Kind::ALL.map(rule).into() }
}

fn rule(kind: Kind) -> Rule {
    let page = page(kind);
    let level = if kind == Kind::UnorderedAccess { Severity::Note } else { default_severity(kind) };
    Rule {
        id: kind.name(),
        name: readable_name(kind),
        short_description: Text::new(format!("{}.", capitalised(page.title))),
        full_description: Text::new(page.what.to_owned()),
        default_configuration: Configuration { level: level.name() },
        help: Help { text: page.markdown(), markdown: page.markdown() },
        properties: RuleProperties { tags: ["concurrency", "correctness"], precision: "high", problem_severity: problem(level) },
    }
}

/// `ReadModifyWrite`; the standard wants none where it is the id again.
fn readable_name(kind: Kind) -> Option<String> {
    kind.name().contains('-').then(|| kind.name().split('-').map(capitalised).collect())
}

fn default_severity(kind: Kind) -> Severity {
    if page(kind).severity.starts_with("warning") { Severity::Warning } else { Severity::Error }
}

fn problem(level: Severity) -> &'static str {
    if level == Severity::Note { "recommendation" } else { level.name() }
}

fn capitalised(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn invocation(report: &Report) -> Invocation {
    let missed = words::missed(&report.coverage).into_iter().map(|sentence| format!("missed: {sentence}"));
    let hidden = words::hidden(&report.coverage);
    let notices = report.notices.iter().map(|notice| harmless(notice).into_owned());
    let watched = format!("watched: {}; {}", words::target(&report.target), words::watched(&report.coverage));
    let beyond = report.findings.len().saturating_sub(MOST_RESULTS);
    let beyond = (beyond > 0).then(|| format!("{} left out", words::plural(beyond as u64, "finding")));
    let sentences = std::iter::once(watched).chain(missed).chain(hidden).chain(notices).chain(beyond);
    let note = |text| Notification { level: "note", message: Text::new(text) };
    Invocation { execution_successful: true, tool_execution_notifications: sentences.map(note).collect() }
}

fn result(finding: &Finding, sources: &SourceMap) -> SarifResult {
    let located: Vec<(&AccessReport, Location)> =
        finding.accesses.iter().filter_map(|access| Some((access, location(access.stack.first()?, sources)))).collect();
    let related = located
        .iter()
        .skip(1)
        .zip(1..)
        .map(|((access, location), id)| RelatedLocation { id, location: location.clone().saying(sentence(access, sources)) });
    SarifResult {
        rule_id: finding.kind.name(),
        rule_index: Kind::ALL.iter().position(|kind| *kind == finding.kind).unwrap_or(0),
        level: finding.severity.name(),
        message: Text::new(message(finding, sources)),
        related_locations: related.collect(),
        code_flows: code_flows(finding, sources),
        locations: located.into_iter().take(1).map(|(_, location)| location).collect(),
        partial_fingerprints: Fingerprints { racetrace: finding.fingerprint.clone() },
        occurrence_count: finding.count.clamp(1, i64::MAX as u64),
        properties: BTreeMap::from([
            ("evidence", finding.evidence.name().to_owned()),
            ("basis", finding.basis.name().to_owned()),
            ("subject", finding.subject.name.clone()),
            ("tests", finding.tests.join("\n")),
        ]),
    }
}

fn message(finding: &Finding, sources: &SourceMap) -> String {
    let mut parts = vec![format!("{}.", harmless(&finding.message))];
    parts.extend(finding.observed.as_ref().map(|text| format!("{}: {}.", words::sighting(finding), harmless(text))));
    parts.extend(words::why(sources, finding).map(|text| format!("Why: {text}.")));
    parts.push(format!("Fix: {}.", harmless(&finding.help)));
    parts.push(format!("{}; {}.", capitalised(&words::certainty(finding)), words::seen(finding)));
    // Square brackets before a parenthesis would be a link (SARIF 3.11.6).
    parts.join(" ").replace("](", "\\](")
}

fn sentence(access: &AccessReport, sources: &SourceMap) -> String {
    let strand = words::View::anywhere(sources).strand(&access.strand, true);
    let text = format!(
        "{}: {} by {strand}; {}",
        words::name(&access.role),
        words::deed(access),
        words::View::anywhere(sources).locks(&access.locks)
    );
    text.replace("](", "\\](")
}

/// One flow of one thread flow a strand; `executionOrder` tells how they interleaved where that was seen.
fn code_flows(finding: &Finding, sources: &SourceMap) -> Vec<CodeFlow> {
    let mut flows: Vec<(String, ThreadFlow)> = Vec::new();
    for (index, access) in finding.accesses.iter().enumerate() {
        let Some(frame) = access.stack.first() else { continue };
        let name = words::View::anywhere(sources).strand(&access.strand, true);
        let step = FlowLocation {
            location: location(frame, sources).saying(sentence(access, sources)),
            execution_order: order(finding, index),
        };
        match flows.iter_mut().find(|(strand, _)| *strand == name) {
            Some((_, flow)) => flow.locations.push(step),
            None => flows.push((name.clone(), ThreadFlow { message: Text::new(name), locations: vec![step] })),
        }
    }
    let thread_flows: Vec<ThreadFlow> = flows.into_iter().map(|(_, flow)| flow).collect();
    if thread_flows.is_empty() { Vec::new() } else { vec![CodeFlow { thread_flows }] }
}

fn order(finding: &Finding, access: usize) -> Option<usize> {
    let mut moments: Vec<_> = finding.timeline.iter().filter(|moment| moment.access.is_some()).collect();
    moments.sort_by_key(|moment| moment.time);
    moments.iter().position(|moment| moment.access == Some(access)).map(|index| index + 1)
}

fn location(frame: &Frame, sources: &SourceMap) -> Location {
    let line = sources.line(&frame.file, frame.line);
    let columns = line.as_deref().zip(frame.columns).and_then(|(text, columns)| code_points(text, columns));
    let region = (frame.line > 0).then(|| Region {
        start_line: frame.line,
        start_column: columns.map(|(start, _)| start),
        end_column: columns.map(|(_, end)| end),
        snippet: line.map(|text| ArtifactContent { text }),
    });
    let shown = sources.shown(&frame.file);
    let relative = !shown.starts_with('/');
    let uri = if relative { encoded(&shown) } else { format!("file://{}", encoded(&shown)) };
    let artifact_location = ArtifactLocation { uri, uri_base_id: relative.then_some("%SRCROOT%") };
    Location { physical_location: Physical { artifact_location, region }, message: None }
}

/// Byte columns from 0 as columns from 1 in code points.
fn code_points(line: &str, (start, end): (u32, u32)) -> Option<(usize, usize)> {
    let count = |bytes: u32| line.get(..bytes as usize).map(|text| text.chars().count() + 1);
    Some((count(start)?, count(end)?)).filter(|(start, end)| start < end)
}

/// A path as the path of a URI (RFC 3986).
fn encoded(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    debug_assert!(!uri.chars().any(is_harmful));
    uri
}
