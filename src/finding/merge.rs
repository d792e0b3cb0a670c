//! Several reports (shards, processes, days) into one, by fingerprint; and the order in which findings are shown.
//! Does not compare reports: that is [`super::diff`].

use super::{Coverage, Finding, Report, Target};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// One report of everything the given ones say. Findings with one fingerprint become one: counts add up, and the
/// better-evidenced one tells the story.
#[must_use]
pub fn merge(reports: Vec<Report>) -> Report {
    let mut findings: BTreeMap<(String, super::Basis), Finding> = BTreeMap::new();
    let mut targets: Vec<Target> = Vec::new();
    let mut merged = Report { schema: Report::SCHEMA.to_owned(), ..Report::default() };
    for report in reports {
        for target in std::iter::once(report.target).chain(report.also) {
            if !targets.contains(&target) {
                targets.push(target);
            }
        }
        for finding in report.findings {
            match findings.entry((finding.fingerprint.clone(), finding.basis)) {
                Entry::Vacant(place) => {
                    place.insert(finding);
                }
                Entry::Occupied(mut place) => join(place.get_mut(), finding),
            }
        }
        add_coverage(&mut merged.coverage, report.coverage);
        for notice in report.notices {
            if !merged.notices.contains(&notice) {
                merged.notices.push(notice);
            }
        }
    }
    let mut targets = targets.into_iter();
    merged.target = targets.next().unwrap_or_default();
    merged.also = targets.collect();
    merged.findings = findings.into_values().collect();
    sort(&mut merged.findings);
    merged
}

/// The order of every report: worst first, then surest, then most frequent in the source's order.
pub fn sort(findings: &mut [Finding]) {
    findings.sort_by(|a, b| key(a).cmp(&key(b)));
}

type Key<'a> =
    (std::cmp::Reverse<super::Severity>, std::cmp::Reverse<super::Evidence>, &'a str, u32, super::Kind, &'a str, &'a str);

fn key(finding: &Finding) -> Key<'_> {
    let site = finding.accesses.first().and_then(|access| access.stack.first());
    (
        std::cmp::Reverse(finding.severity),
        std::cmp::Reverse(finding.evidence),
        site.map_or("", |frame| frame.file.as_str()),
        site.map_or(0, |frame| frame.line),
        finding.kind,
        &finding.subject.name,
        &finding.fingerprint,
    )
}

fn join(into: &mut Finding, other: Finding) {
    let count = into.count.saturating_add(other.count);
    let mut tests = std::mem::take(&mut into.tests);
    tests.extend(other.tests.iter().cloned());
    let mut processes = std::mem::take(&mut into.processes);
    processes.extend(&other.processes);
    if (other.severity, other.evidence) > (into.severity, into.evidence) {
        *into = other;
    }
    into.count = count;
    tests.sort();
    tests.dedup();
    processes.sort_unstable();
    processes.dedup();
    into.tests = tests;
    into.processes = processes;
}

fn add_coverage(into: &mut Coverage, other: Coverage) {
    let sums = [
        (&mut into.events, other.events),
        (&mut into.samples, other.samples),
        (&mut into.dropped, other.dropped),
        (&mut into.threads, other.threads),
        (&mut into.tasks, other.tasks),
        (&mut into.processes, other.processes),
        (&mut into.shared_subjects, other.shared_subjects),
    ];
    for (sum, more) in sums {
        *sum = sum.saturating_add(more);
    }
    for what in other.not_watched {
        if !into.not_watched.contains(&what) {
            into.not_watched.push(what);
        }
    }
    for (rule, count) in other.hidden {
        *into.hidden.entry(rule).or_default() += count;
    }
}
