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
    let rank = |finding: &Finding| (finding.severity, finding.evidence);
    if rank(&other) > rank(into) || rank(&other) == rank(into) && story(&other) < story(into) {
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

/// For choosing between equals, so that the order of the reports does not matter.
fn story(finding: &Finding) -> String {
    format!("{:?}{:?}{:?}{:?}", finding.message, finding.observed, finding.accesses, finding.timeline)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn shop() -> Report {
        serde_json::from_str(include_str!("../../tests/golden/shop.report.json")).expect("a report")
    }

    #[test]
    fn one_report_stays_as_it_is() {
        let mut report = shop();
        sort(&mut report.findings);
        assert_eq!(merge(vec![report.clone()]), report);
    }

    #[test]
    fn shards_add_up_by_fingerprint() {
        let mut one = shop();
        let mut two = shop();
        two.target.pid = 5000;
        two.findings.truncate(2);
        for finding in &mut two.findings {
            finding.tests = vec!["tests/test_other.py::test_it".to_owned()];
            finding.processes = vec![5000];
        }
        let possible = one.findings.first_mut().expect("there are some");
        let fingerprint = possible.fingerprint.clone();
        possible.evidence = crate::finding::Evidence::Possible;
        possible.observed = None;
        let merged = merge(vec![one.clone(), two.clone()]);
        assert_eq!(merge(vec![two, one]).findings, merged.findings, "the order of the shards does not matter");
        assert_eq!(merged.findings.len(), 13);
        let first = merged.findings.iter().find(|finding| finding.fingerprint == fingerprint).expect("it is kept");
        assert_eq!(first.evidence, crate::finding::Evidence::Observed, "the better-evidenced story is kept");
        assert_eq!((first.count, first.processes.as_slice()), (30, [4100, 5000].as_slice()));
        assert_eq!(first.tests.len(), 3);
        assert_eq!(merged.also.len(), 1);
        assert_eq!(merged.coverage.events, 2 * 1_234_567);
    }
}
