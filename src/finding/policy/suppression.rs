//! Suppressions: rules that hide findings by kind, subject, file or function, each with a reason and perhaps an end.
//! A rule that hides nothing, has expired, or would hide nearly everything is reported.

use super::{Date, Lines};
use crate::finding::{Finding, Kind};
use globset::{GlobBuilder, GlobMatcher};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fmt;

/// More subjects than this under one rule: it hides more than one known thing.
const BROAD_SUBJECTS: usize = 10;

/// As written in the file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub kind: Option<Kind>,
    /// Glob over the subject's name; `*` crosses dots.
    pub subject: Option<String>,
    /// Glob over the path as reports show it; `**` crosses directories.
    pub file: Option<String>,
    /// Glob over the qualified function name.
    pub function: Option<String>,
    pub reason: String,
    /// A TOML date or text such as `2027-01-31`; the rule counts until the end of that day.
    pub expires: Option<toml::Value>,
}

/// A rule ready for use.
#[derive(Debug)]
pub struct Suppression {
    number: usize,
    kind: Option<Kind>,
    subject: Option<GlobMatcher>,
    file: Option<GlobMatcher>,
    function: Option<GlobMatcher>,
    reason: String,
    expires: Option<Date>,
}

#[derive(Debug)]
pub enum RuleError {
    NoReason,
    Glob(globset::Error),
    Date(String),
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RuleError::NoReason => write!(f, "needs a reason"),
            RuleError::Glob(error) => write!(f, "{error}"),
            RuleError::Date(text) => write!(f, "cannot read the date '{}', expected one like 2027-01-31", text.escape_debug()),
        }
    }
}

impl std::error::Error for RuleError {}

impl Suppression {
    /// `number` is the rule's place in the file, from 1.
    ///
    /// # Errors
    /// No reason, or a glob or a date that cannot be read.
    pub fn new(number: usize, rule: Rule) -> Result<Suppression, RuleError> {
        if rule.reason.trim().is_empty() {
            return Err(RuleError::NoReason);
        }
        Ok(Suppression {
            number,
            kind: rule.kind,
            subject: rule.subject.map(|text| name_glob(&text)).transpose()?,
            file: rule.file.map(|text| path_glob(&text)).transpose()?,
            function: rule.function.map(|text| name_glob(&text)).transpose()?,
            reason: rule.reason,
            expires: rule.expires.map(|value| date(&value)).transpose()?,
        })
    }

    fn matches(&self, finding: &Finding, lines: &dyn Lines) -> bool {
        self.kind.is_none_or(|kind| kind == finding.kind)
            && self.subject.as_ref().is_none_or(|glob| glob.is_match(&finding.subject.name))
            && self.matches_place(finding, lines)
    }

    /// File and function must agree on one and the same access.
    fn matches_place(&self, finding: &Finding, lines: &dyn Lines) -> bool {
        if self.file.is_none() && self.function.is_none() {
            return true;
        }
        finding.accesses.iter().filter_map(|access| access.stack.first()).any(|frame| {
            self.file.as_ref().is_none_or(|glob| glob.is_match(lines.shown(&frame.file)) || glob.is_match(&frame.file))
                && self.function.as_ref().is_none_or(|glob| glob.is_match(&frame.function))
        })
    }

    /// Does it say neither what nor where?
    fn says_nothing(&self) -> bool {
        [&self.subject, &self.file, &self.function]
            .iter()
            .all(|glob| glob.as_ref().is_none_or(|glob| glob.glob().glob().chars().all(|c| matches!(c, '*' | '/' | '?'))))
    }
}

impl fmt::Display for Suppression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "suppression {}", self.number)?;
        let globs = [("subject", &self.subject), ("file", &self.file), ("function", &self.function)];
        let parts: Vec<String> = self
            .kind
            .map(|kind| format!("kind {kind}"))
            .into_iter()
            .chain(globs.iter().filter_map(|(name, glob)| glob.as_ref().map(|glob| format!("{name} {}", glob.glob().glob()))))
            .collect();
        if parts.is_empty() { Ok(()) } else { write!(f, " ({})", parts.join(", ")) }
    }
}

fn name_glob(text: &str) -> Result<GlobMatcher, RuleError> {
    let glob = GlobBuilder::new(text).literal_separator(false).build();
    glob.map(|glob| glob.compile_matcher()).map_err(RuleError::Glob)
}

fn path_glob(text: &str) -> Result<GlobMatcher, RuleError> {
    let glob = GlobBuilder::new(text).literal_separator(true).build();
    glob.map(|glob| glob.compile_matcher()).map_err(RuleError::Glob)
}

fn date(value: &toml::Value) -> Result<Date, RuleError> {
    let text = match value {
        toml::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    text.parse().map_err(|_| RuleError::Date(text))
}

/// What the rules have hidden so far.
pub(super) struct Usage<'a> {
    rules: Vec<(&'a Suppression, Hits)>,
    today: Date,
}

#[derive(Default)]
struct Hits {
    findings: u64,
    subjects: BTreeSet<String>,
}

impl<'a> Usage<'a> {
    pub(super) fn new(rules: &'a [Suppression], today: Date) -> Usage<'a> {
        Usage { rules: rules.iter().map(|rule| (rule, Hits::default())).collect(), today }
    }

    /// The reason of the first rule in force that matches; all that match are counted.
    pub(super) fn matching(&mut self, finding: &Finding, lines: &dyn Lines) -> Option<String> {
        let mut reason = None;
        for (rule, hits) in &mut self.rules {
            if rule.matches(finding, lines) {
                hits.findings += 1;
                hits.subjects.insert(finding.subject.name.clone());
                if !expired(rule, self.today) && reason.is_none() {
                    reason = Some(rule.reason.clone());
                }
            }
        }
        reason
    }

    pub(super) fn notices(&self) -> Vec<String> {
        self.rules.iter().filter_map(|(rule, hits)| notice(rule, hits, self.today)).collect()
    }
}

fn expired(rule: &Suppression, today: Date) -> bool {
    rule.expires.is_some_and(|end| end < today)
}

fn notice(rule: &Suppression, hits: &Hits, today: Date) -> Option<String> {
    let of = format!("{} of {} subject(s)", hits.findings, hits.subjects.len());
    if let Some(end) = rule.expires.filter(|end| *end < today) {
        return Some(format!("{rule} expired on {end}: the {} finding(s) it matches are shown again", hits.findings));
    }
    if rule.says_nothing() {
        return Some(format!("{rule} is over-broad: it names no subject, file or function; it hid {of}"));
    }
    if hits.subjects.len() > BROAD_SUBJECTS {
        return Some(format!("{rule} is over-broad: it hid {of}"));
    }
    (hits.findings == 0).then(|| format!("{rule} is unused: it matched nothing in this run"))
}
