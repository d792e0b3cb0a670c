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
