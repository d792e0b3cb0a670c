//! What is new, gone and the same between two reports, by fingerprint. Prints nothing.

use super::{Finding, Report};
use std::collections::BTreeSet;

/// Each list is in the order of reports: worst first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diff<'a> {
    pub new: Vec<&'a Finding>,
    pub gone: Vec<&'a Finding>,
    /// As the newer report tells them.
    pub same: Vec<&'a Finding>,
}

#[must_use]
pub fn diff<'a>(old: &'a Report, new: &'a Report) -> Diff<'a> {
    let before = fingerprints(old);
    let after = fingerprints(new);
    let (same, fresh) = new.findings.iter().partition(|finding| before.contains(finding.fingerprint.as_str()));
    let gone = old.findings.iter().filter(|finding| !after.contains(finding.fingerprint.as_str())).collect();
    Diff { new: fresh, gone, same }
}

fn fingerprints(report: &Report) -> BTreeSet<&str> {
    report.findings.iter().map(|finding| finding.fingerprint.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_gone_and_same_are_told_apart() {
        let all: Report = serde_json::from_str(include_str!("../../tests/golden/shop.report.json")).expect("a report");
        let (mut old, mut new) = (all.clone(), all);
        new.findings.remove(0);
        old.findings.truncate(3);
        let difference = diff(&old, &new);
        assert_eq!((difference.new.len(), difference.gone.len(), difference.same.len()), (10, 1, 2));
        assert_eq!(difference.gone.first(), old.findings.iter().collect::<Vec<_>>().first());
    }
}
