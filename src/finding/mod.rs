//! A finding: a window and a conflicting access that nothing keeps apart, as the reports show it. Plain data: it knows
//! neither events nor formats. The fields follow `racetrace.report/1`; fields may be added, never renamed.
//!
//! | module | holds |
//! |---|---|
//! | [`catalogue`] | one page per kind: what it is, why it bites, example, fix |
//! | [`mod@fingerprint`] | the name by which a finding is known again in the next run |
//! | [`merge`] | several reports into one |
//! | [`diff`] | what is new, gone and the same between two reports |
//! | [`policy`] | baseline, suppressions, inline comments: what is hidden, and which rules are stale |

pub mod catalogue;
pub mod diff;
mod fingerprint;
mod kind;
pub mod merge;
pub mod policy;

pub use fingerprint::{Site, fingerprint};

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    ReadModifyWrite,
    CheckThenAct,
    MutationDuringIteration,
    InterleavedWrite,
    FileCheckThenUse,
    Deadlock,
    LockOrderInversion,
    ThreadLockAcrossAwait,
    LockHeldAcrossAwait,
    UnawaitedCoroutine,
    UnorderedAccess,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Note,
    Warning,
    Error,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    Latent,
    Possible,
    Observed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    Traced,
    Sampled,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable across runs: kind + subject name + unordered pair of sites. Made by [`crate::finding::fingerprint()`].
    pub fingerprint: String,
    pub kind: Kind,
    pub severity: Severity,
    pub evidence: Evidence,
    pub basis: Basis,
    pub subject: Subject,
    /// One sentence.
    pub message: String,
    /// The window's accesses in order (read or check, then write or act), then the conflicting one(s).
    pub accesses: Vec<AccessReport>,
    /// Why it can, or cannot, happen on this interpreter: the very call or jump inside the window.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub why: Option<String>,
    /// The call or suspension that `why` speaks of, by its line.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub switch: Option<Frame>,
    /// What was seen happening: "read 41, wrote 42 over 57".
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub observed: Option<String>,
    pub count: u64,
    /// How to fix it, fitting this code.
    pub help: String,
    /// The split as it happened, for the timeline picture. Only for observed findings.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub timeline: Vec<Moment>,
    /// How it can happen, step by step. Only where it was not observed.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub interleaving: Vec<Turn>,
    /// Names of the tests during which it happened.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub tests: Vec<String>,
    /// Process ids in which it was seen.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub processes: Vec<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// global, attribute, item, container, closure, file, locks, coroutine.
    #[serde(rename = "type")]
    pub kind: String,
    /// `app.counter`, `Order.qty`, `Cache.items['k']`, file base name, lock names joined by commas.
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessReport {
    /// read, write, check, act, conflict, acquire, hold, await, iterate, open, create …
    pub role: String,
    /// What the access does in words: "reads", "stores 42".
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub what: Option<String>,
    pub strand: StrandReport,
    /// Innermost first.
    pub stack: Vec<Frame>,
    pub locks: Vec<LockReport>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StrandReport {
    /// thread or task.
    #[serde(rename = "type")]
    pub kind: String,
    pub name: String,
    pub tid: u32,
    pub task: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pid: Option<u32>,
    /// What the program calls its process: "SpawnProcess-2".
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub process: Option<String>,
    /// Where it was started.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub started: Vec<Frame>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Frame {
    pub file: String,
    pub line: u32,
    pub function: String,
    /// Columns of the expression (0-based, end exclusive) where the interpreter knows them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub columns: Option<(u32, u32)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockReport {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub created: Option<Place>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub acquired: Option<Place>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Place {
    pub file: String,
    pub line: u32,
}

/// One step of the timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// Nanoseconds since the session began.
    pub time: u64,
    /// Index into `accesses` where the step is one of them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub access: Option<usize>,
    pub strand: String,
    /// read, write, check, act …; acquire NAME, release NAME, wait NAME, suspend, resume.
    pub what: String,
}

/// One step of a possible interleaving.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// Index into `accesses`.
    pub access: usize,
    pub strand: String,
    /// "reads it".
    pub what: String,
}

/// What the report covers: `target` and `coverage` of the JSON report.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Report {
    pub schema: String,
    pub target: Target,
    pub findings: Vec<Finding>,
    pub coverage: Coverage,
    /// Further targets: other reports that were merged into this one.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub also: Vec<Target>,
    /// Sentences about the report itself: stale suppressions, a baseline that could be smaller.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub notices: Vec<String>,
}

impl Report {
    /// The JSON report's `schema`.
    pub const SCHEMA: &'static str = "racetrace.report/1";
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Target {
    pub pid: u32,
    /// "3.13.0".
    pub python: String,
    pub free_threaded: bool,
    pub command: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Coverage {
    pub events: u64,
    pub samples: u64,
    pub dropped: u64,
    pub threads: u64,
    #[serde(default)]
    pub tasks: u64,
    #[serde(default)]
    pub processes: u64,
    pub shared_subjects: u64,
    pub not_watched: Vec<String>,
    /// How many findings each rule hid: suppressions, baseline, library code.
    #[serde(default)]
    pub hidden: std::collections::BTreeMap<String, u64>,
}
