//! The baseline: findings that are known and accepted for now, by fingerprint. It holds no source and no values.

use crate::finding::{Finding, Kind};
use serde::{Deserialize, Serialize};
use std::fmt;

const SCHEMA: &str = "racetrace.baseline/1";

/// The file: sorted, one finding an entry, made for version control.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Baseline {
    schema: String,
    findings: Vec<Entry>,
}

/// Only the fingerprint counts; the rest tells a reviewer what it stands for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Entry {
    kind: Kind,
    subject: String,
    function: String,
    fingerprint: String,
}

#[derive(Debug)]
pub enum BaselineError {
    NotJson(serde_json::Error),
    OtherSchema(String),
}

impl fmt::Display for BaselineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BaselineError::NotJson(error) => write!(f, "not a baseline: {error}"),
            BaselineError::OtherSchema(found) => {
                write!(f, "not a baseline: its schema is '{}', expected '{SCHEMA}'", found.escape_debug())
            }
        }
    }
}

impl std::error::Error for BaselineError {}

impl Baseline {
    /// All of the given findings, hidden ones included: a new baseline keeps what the old one held and still happens.
    #[must_use]
    pub fn of<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Baseline {
        let mut findings: Vec<Entry> = findings.into_iter().map(Entry::of).collect();
        findings.sort();
        findings.dedup_by(|a, b| a.fingerprint == b.fingerprint);
        Baseline { schema: SCHEMA.to_owned(), findings }
    }

    /// # Errors
    /// Text that is not a baseline of a known schema.
    pub fn parse(text: &str) -> Result<Baseline, BaselineError> {
        let baseline: Baseline = serde_json::from_str(text).map_err(BaselineError::NotJson)?;
        if baseline.schema == SCHEMA { Ok(baseline) } else { Err(BaselineError::OtherSchema(baseline.schema)) }
    }

    /// The file's text.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("plain data has a JSON form");
        text.push('\n');
        text
    }

    #[must_use]
    pub fn contains(&self, fingerprint: &str) -> bool {
        self.findings.iter().any(|entry| entry.fingerprint == fingerprint)
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.findings.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.findings.is_empty()
    }
}

impl Entry {
    fn of(finding: &Finding) -> Entry {
        let site = finding.accesses.first().and_then(|access| access.stack.first());
        Entry {
            kind: finding.kind,
            subject: finding.subject.name.clone(),
            function: site.map_or_else(String::new, |frame| frame.function.clone()),
            fingerprint: finding.fingerprint.clone(),
        }
    }
}
