//! The source lines that travel in a trace: those around every place that a report names, and no whole files.

use std::collections::{BTreeMap, BTreeSet};

use crate::finding::policy::Lines;
use crate::finding::{Finding, Report};

/// File → line number → text.
pub type SourceLines = BTreeMap<String, BTreeMap<u32, String>>;

/// Lines before and after each place.
const AROUND: u32 = 6;
/// Longer lines are generated code or data.
const MOST_BYTES_A_LINE: usize = 1000;

/// The lines around the report's places, with every comment for racetrace in the same files.
#[must_use]
pub fn excerpts(report: &Report, lines: &dyn Lines) -> SourceLines {
    let mut wanted: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
    for (file, line) in report.findings.iter().flat_map(places) {
        let around = line.saturating_sub(AROUND).max(1)..=line.saturating_add(AROUND);
        wanted.entry(file).or_default().extend(around);
    }
    let mut excerpts = SourceLines::new();
    for (file, numbers) in wanted {
        let found: BTreeMap<u32, String> = lines
            .known(file)
            .into_iter()
            .filter(|(number, text)| numbers.contains(number) || is_for_us(text))
            .map(shortened)
            .collect();
        if !found.is_empty() {
            excerpts.insert(file.to_owned(), found);
        }
    }
    excerpts
}

fn is_for_us(text: &str) -> bool {
    text.contains("racetrace:")
}

fn shortened((number, mut text): (u32, String)) -> (u32, String) {
    if let Some((end, _)) = text.char_indices().find(|(at, _)| *at >= MOST_BYTES_A_LINE) {
        text.truncate(end);
    }
    (number, text)
}

/// Every place that the finding names.
fn places(finding: &Finding) -> impl Iterator<Item = (&str, u32)> {
    let switch = finding.switch.iter().map(|frame| (frame.file.as_str(), frame.line));
    let accesses = finding.accesses.iter().flat_map(|access| {
        let frames = access.stack.iter().chain(&access.strand.started).map(|frame| (frame.file.as_str(), frame.line));
        let locks = access.locks.iter().flat_map(|lock| lock.created.iter().chain(&lock.acquired));
        frames.chain(locks.map(|place| (place.file.as_str(), place.line)))
    });
    accesses.chain(switch)
}
