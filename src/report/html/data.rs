//! What the page's script is given: phrases ready to show, excerpts cut into pieces, timelines. All text is harmless
//! before it gets here; the script only lays it out.

use crate::finding::catalogue::page;
use crate::finding::policy::Lines;
use crate::finding::{AccessReport, Finding, Kind, Report};
use crate::report::harmless::harmless;
use crate::report::side::{Part, Side, closing, label, sides};
use crate::report::source::SourceMap;
use crate::report::timeline::{self, Timeline};
use crate::report::words;
use serde::Serialize;
use std::collections::BTreeMap;

/// Lines shown before and after those that matter.
const AROUND: u32 = 2;
/// A longer stretch is elided in the middle.
const MOST_LINES: u32 = 24;

#[derive(Serialize)]
pub(super) struct Document {
    tally: String,
    targets: Vec<String>,
    watched: String,
    missed: Vec<String>,
    hidden: Option<String>,
    notices: Vec<String>,
    kinds: BTreeMap<&'static str, KindText>,
    findings: Vec<Entry>,
}

#[derive(Serialize)]
struct KindText {
    title: &'static str,
    what: &'static str,
    why: &'static str,
    fix: &'static str,
}

#[derive(Serialize)]
struct Entry {
    id: String,
    kind: &'static str,
    severity: &'static str,
    evidence: &'static str,
    subject: String,
    message: String,
    place: String,
    files: Vec<String>,
    closing: Option<String>,
    sides: Vec<SideEntry>,
    timeline: Option<Timeline>,
    /// How it can happen: steps in order.
    turns: Vec<String>,
    /// Label and text, in order.
    facts: Vec<(&'static str, String)>,
    count: String,
}

#[derive(Serialize)]
struct SideEntry {
    first: bool,
    place: String,
    strand: String,
    locks: String,
    callers: Vec<String>,
    lines: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    /// `None`: lines were left out here.
    number: Option<u32>,
    /// Pieces: those with an odd index are marked.
    pieces: Vec<String>,
    window: bool,
    /// What happens there, below which column.
    notes: Vec<(usize, String)>,
}

impl Document {
    pub(super) fn of(report: &Report, sources: &SourceMap) -> Document {
        let with_process = words::several_processes(report);
        let kinds = Kind::ALL.into_iter().filter(|kind| report.findings.iter().any(|finding| finding.kind == *kind));
        let text = |kind: Kind| {
            let page = page(kind);
            (kind.name(), KindText { title: page.title, what: page.what, why: page.why, fix: page.fix })
        };
        Document {
            tally: words::tally(report),
            targets: std::iter::once(&report.target).chain(&report.also).map(words::target).collect(),
            watched: words::watched(&report.coverage),
            missed: words::missed(&report.coverage),
            hidden: words::hidden(&report.coverage),
            notices: report.notices.iter().map(|notice| harmless(notice).into_owned()).collect(),
            kinds: kinds.map(text).collect(),
            findings: report.findings.iter().map(|finding| entry(finding, report, sources, with_process)).collect(),
        }
    }
}

fn entry(finding: &Finding, report: &Report, sources: &SourceMap, with_process: bool) -> Entry {
    let frames = finding.accesses.iter().filter_map(|access| access.stack.first());
    let mut files: Vec<String> = frames.clone().map(|frame| harmless(&sources.shown(&frame.file)).into_owned()).collect();
    files.sort();
    files.dedup();
    Entry {
        id: harmless(&finding.fingerprint).into_owned(),
        kind: finding.kind.name(),
        severity: finding.severity.name(),
        evidence: finding.evidence.name(),
        subject: words::name(&finding.subject.name),
        message: harmless(&finding.message).into_owned(),
        place: frames.clone().next().map_or_else(String::new, |frame| words::frame(sources, frame)),
        files,
        closing: closing(finding),
        sides: sides(finding).iter().map(|side| side_entry(finding, side, sources, with_process)).collect(),
        timeline: timeline::of(finding, report),
        turns: words::turns(finding),
        facts: facts(finding, sources),
        count: words::thousands(finding.count),
    }
}

fn facts(finding: &Finding, sources: &SourceMap) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    facts.extend(finding.observed.iter().map(|text| (words::sighting(finding), harmless(text).into_owned())));
    facts.extend(words::why(sources, finding).map(|text| ("Why", text)));
    facts.push(("Fix", harmless(&finding.help).into_owned()));
    if !finding.tests.is_empty() {
        let tests: Vec<String> = finding.tests.iter().map(|test| words::name(test)).collect();
        facts.push(("Tests", tests.join(", ")));
    }
    facts.push(("How sure", words::certainty(finding)));
    facts.push(("Seen", words::seen(finding)));
    facts.push(("Fingerprint", harmless(&finding.fingerprint).into_owned()));
    facts
}

fn side_entry(finding: &Finding, side: &Side<'_>, sources: &SourceMap, with_process: bool) -> SideEntry {
    let view = words::View::beside(sources, side);
    let first = side.accesses.first();
    let stack = first.map(|access| access.stack.as_slice()).unwrap_or_default();
    SideEntry {
        first: side.part == Part::First,
        place: stack.first().map_or_else(|| "place unknown".to_owned(), |frame| words::frame(sources, frame)),
        strand: first.map(|access| view.strand(&access.strand, with_process)).unwrap_or_default(),
        locks: view.side_locks(side),
        callers: first.map(|access| view.callers(access)).unwrap_or_default(),
        lines: lines(finding, side, sources),
    }
}

fn lines(finding: &Finding, side: &Side<'_>, sources: &SourceMap) -> Vec<Line> {
    let mut marked: BTreeMap<u32, Vec<&AccessReport>> = BTreeMap::new();
    let mut file = "";
    for access in &side.accesses {
        if let Some(frame) = access.stack.first() {
            file = &frame.file;
            marked.entry(frame.line).or_default().push(access);
        }
    }
    let Some((first, last)) = marked.keys().next().zip(marked.keys().next_back()) else { return Vec::new() };
    let window = side.window(finding);
    let mut lines = Vec::new();
    for number in wanted(*first, *last, marked.keys()) {
        let Some(number) = number else {
            lines.push(Line { number: None, pieces: Vec::new(), window: window.is_some(), notes: Vec::new() });
            continue;
        };
        let here = marked.get(&number).map(Vec::as_slice).unwrap_or_default();
        let source = sources.line(file, number);
        if source.is_none() && here.is_empty() {
            continue;
        }
        lines.push(Line {
            number: Some(number),
            pieces: pieces(source.as_deref().unwrap_or("(source not available)"), here),
            window: window.is_some_and(|(first, last)| (first..=last).contains(&number)),
            notes: here.iter().map(|access| (column(source.as_deref(), access), label(access))).collect(),
        });
    }
    lines
}

/// Line numbers to show; `None` where some are left out.
fn wanted<'a>(first: u32, last: u32, marked: impl Iterator<Item = &'a u32>) -> Vec<Option<u32>> {
    let around = |line: u32| line.saturating_sub(AROUND).max(1)..=line.saturating_add(AROUND);
    if last - first <= MOST_LINES {
        return (*around(first).start()..=*around(last).end()).map(Some).collect();
    }
    let mut wanted: Vec<Option<u32>> = Vec::new();
    for line in marked {
        let seen = wanted.iter().rev().flatten().next().copied();
        if seen.is_some_and(|seen| seen + 1 < *around(*line).start()) {
            wanted.push(None);
        }
        wanted.extend(around(*line).filter(|number| seen.is_none_or(|seen| *number > seen)).map(Some));
    }
    wanted
}

/// Where the access's expression begins, in characters as they are shown; the statement where that is unknown.
fn column(source: Option<&str>, access: &AccessReport) -> usize {
    let source = source.unwrap_or_default();
    let columns = access.stack.first().and_then(|frame| frame.columns);
    let start = columns.map(|(start, _)| start as usize).filter(|start| source.is_char_boundary(*start));
    let start = start.unwrap_or(source.len() - source.trim_start().len());
    shown(source.get(..start)).chars().count()
}

/// The line cut at the columns of its accesses; its statement where they are unknown.
fn pieces(source: &str, accesses: &[&AccessReport]) -> Vec<String> {
    let mut spans: Vec<(usize, usize)> = accesses
        .iter()
        .filter_map(|access| access.stack.first()?.columns)
        .map(|(start, end)| (start as usize, end as usize))
        .filter(|(start, end)| start < end && source.is_char_boundary(*start) && source.is_char_boundary(*end))
        .collect();
    spans.sort_unstable();
    let code = source.len() - source.trim_start().len();
    if spans.is_empty() && !accesses.is_empty() {
        spans.push((code, source.trim_end().len().max(code)));
    }
    let mut pieces = Vec::new();
    let mut done = 0;
    for (start, end) in spans {
        if start < done {
            continue;
        }
        pieces.push(shown(source.get(done..start)));
        pieces.push(shown(source.get(start..end)));
        done = end;
    }
    pieces.push(shown(source.get(done..)));
    pieces
}

fn shown(piece: Option<&str>) -> String {
    harmless(&piece.unwrap_or("").replace('\t', "    ")).into_owned()
}
