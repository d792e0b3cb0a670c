//! What the page's script is given: phrases ready to show, excerpts cut into pieces, timelines. All text is harmless
//! before it gets here; the script only lays it out.

use crate::finding::catalogue::page;
use crate::finding::policy::Lines;
use crate::finding::{AccessReport, Finding, Kind, LockReport, Report};
use crate::report::harmless::harmless;
use crate::report::side::{Part, Side, closing, label, sides};
use crate::report::source::SourceMap;
use crate::report::words;
use serde::Serialize;
use std::collections::BTreeMap;

/// Lines shown before and after those that matter.
const AROUND: u32 = 2;
/// A longer stretch is elided in the middle.
const MOST_LINES: u32 = 24;
const MOST_MOMENTS: usize = 60;

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
    timeline: Vec<MomentEntry>,
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
    notes: Vec<String>,
}

#[derive(Serialize)]
struct MomentEntry {
    /// Nanoseconds after the first.
    after: u64,
    strand: String,
    what: String,
    /// `window`, `conflict`, or nothing for a step that is no access.
    part: Option<&'static str>,
    /// Locks held at an access: name, and what tells one holding from the next of the same lock.
    held: Vec<(String, String)>,
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
            findings: report.findings.iter().map(|finding| entry(finding, sources, with_process)).collect(),
        }
    }
}

fn entry(finding: &Finding, sources: &SourceMap, with_process: bool) -> Entry {
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
        timeline: timeline(finding),
        facts: facts(finding),
        count: words::thousands(finding.count),
    }
}

fn facts(finding: &Finding) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    let optional = [("Observed", &finding.observed), ("Why", &finding.why)];
    facts.extend(optional.into_iter().filter_map(|(label, text)| Some((label, harmless(text.as_ref()?).into_owned()))));
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
            pieces: pieces(&source.unwrap_or_else(|| "(source not available)".to_owned()), here),
            window: window.is_some_and(|(first, last)| (first..=last).contains(&number)),
            notes: here.iter().map(|access| label(access)).collect(),
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

/// The line cut at the columns of its accesses; the whole of it where they are unknown.
fn pieces(source: &str, accesses: &[&AccessReport]) -> Vec<String> {
    let mut spans: Vec<(usize, usize)> = accesses
        .iter()
        .filter_map(|access| access.stack.first()?.columns)
        .map(|(start, end)| (start as usize, end as usize))
        .filter(|(start, end)| start < end && source.is_char_boundary(*start) && source.is_char_boundary(*end))
        .collect();
    spans.sort_unstable();
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

fn timeline(finding: &Finding) -> Vec<MomentEntry> {
    let mut moments: Vec<_> = finding.timeline.iter().collect();
    moments.sort_by_key(|moment| moment.time);
    let begin = moments.first().map_or(0, |moment| moment.time);
    let entry = |moment: &&crate::finding::Moment| {
        let access = moment.access.and_then(|index| finding.accesses.get(index));
        let part = access.map(|access| if access.role == "conflict" { "conflict" } else { "window" });
        let what = access.map_or_else(|| words::name(&moment.what), label);
        let held = access.map(|access| access.locks.iter().map(holding).collect()).unwrap_or_default();
        MomentEntry { after: moment.time - begin, strand: words::name(&moment.strand), what, part, held }
    };
    moments.iter().take(MOST_MOMENTS).map(entry).collect()
}

fn holding(lock: &LockReport) -> (String, String) {
    let taken = lock.acquired.as_ref().map(|place| format!("{}:{}", harmless(&place.file), place.line));
    (words::name(&lock.name), taken.unwrap_or_default())
}
