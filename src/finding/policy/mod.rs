//! Living with findings: which ones a baseline, a suppression or a comment hides, and which of these rules are stale.
//!
//! Reads no files and no clock: the caller hands in the text of the rules, the source lines and today's date. What is
//! hidden is counted in the report's coverage; nothing disappears without a trace.

pub mod baseline;
pub mod config;
mod inline;
pub mod suppression;

use super::{Finding, Report};
use baseline::Baseline;
pub use jiff::civil::Date;
use suppression::Suppression;

/// Everything that may hide a finding.
#[derive(Debug, Default)]
pub struct Policy {
    pub suppressions: Vec<Suppression>,
    pub baseline: Option<Baseline>,
}

/// Where source lines come from, for inline comments.
pub trait Lines {
    /// The line, counted from 1, without its line break.
    fn line(&self, file: &str, number: u32) -> Option<String>;
    /// Numbers and text of all lines of the file that are known.
    fn known(&self, file: &str) -> Vec<(u32, String)>;
    /// The path as reports show it, for file globs.
    fn shown(&self, file: &str) -> String;
}

/// A finding that is not shown, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hidden {
    pub finding: Finding,
    pub by: Reason,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    Baseline,
    /// A rule of the configuration, with its reason.
    Suppression(String),
    /// A comment in the source, with its reason.
    Comment(String),
}

impl Reason {
    /// The key in `coverage.hidden`.
    #[must_use]
    pub fn rule(&self) -> &'static str {
        match self {
            Reason::Baseline => "baseline",
            Reason::Suppression(_) => "suppression",
            Reason::Comment(_) => "inline comment",
        }
    }
}

/// Takes what the policy hides out of the report, counts it there, and adds notices about stale rules.
pub fn apply(policy: &Policy, report: &mut Report, lines: &dyn Lines, today: Date) -> Vec<Hidden> {
    let mut comments = inline::Comments::default();
    let mut usage = suppression::Usage::new(&policy.suppressions, today);
    let mut hidden = Vec::new();
    let mut shown = Vec::new();
    for finding in std::mem::take(&mut report.findings) {
        // Every rule is asked, so that one that hides the same finding is not called unused.
        let comment = comments.matching(&finding, lines);
        let rule = usage.matching(&finding, lines);
        let known = policy.baseline.as_ref().is_some_and(|baseline| baseline.contains(&finding.fingerprint));
        let by =
            comment.map(Reason::Comment).or_else(|| rule.map(Reason::Suppression)).or_else(|| known.then_some(Reason::Baseline));
        match by {
            Some(by) => {
                *report.coverage.hidden.entry(by.rule().to_owned()).or_default() += 1;
                hidden.push(Hidden { finding, by });
            }
            None => shown.push(finding),
        }
    }
    report.findings = shown;
    report.notices.extend(usage.notices());
    report.notices.extend(comments.notices(lines));
    hidden
}

#[cfg(test)]
mod tests;
