//! The findings of a session: one for each fingerprint, with the strongest evidence seen and a count. It does not decide
//! what is a race.

use std::collections::BTreeMap;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::event::ProcessId;
use crate::finding::{Evidence, Finding, Kind, Severity};

/// A cheap name for "this race again", made by a detector from what it has at hand (sites, objects): so that a race in
/// a hot loop is described once, not a million times.
pub type Again = (Kind, u64, u64);

#[derive(Debug, Default)]
pub struct Findings {
    by_fingerprint: FxHashMap<String, Entry>,
    again: FxHashMap<Again, Seen>,
    hidden: BTreeMap<String, u64>,
    fresh: FxHashSet<String>,
    next: u64,
    /// Subjects that more than one strand touched.
    pub shared_subjects: u64,
    /// The process that the present record is of, and the test that runs in each.
    process: ProcessId,
    tests: FxHashMap<ProcessId, String>,
}

/// Tests that a finding names.
const MOST_TESTS: usize = 32;

#[derive(Debug)]
struct Entry {
    finding: Finding,
    order: u64,
}

#[derive(Debug)]
struct Seen {
    fingerprint: Option<String>,
    evidence: Evidence,
}

/// Different races, and different names for them, that are remembered.
const MOST_FINDINGS: usize = 10_000;
const MOST_NAMES: usize = 1 << 17;

impl Findings {
    /// What is found from here on is found in this process.
    pub fn in_process(&mut self, process: ProcessId) {
        self.process = process;
    }

    /// A test begins in the present process, or (None) none runs any more.
    pub fn in_test(&mut self, test: Option<&str>) {
        match test {
            Some(test) => self.tests.insert(self.process, test.to_owned()),
            None => self.tests.remove(&self.process),
        };
    }

    /// Adds a finding, or counts it if one with its fingerprint is there. The stronger evidence's story is told; with
    /// equal evidence the first.
    pub fn add(&mut self, mut finding: Finding) {
        name_test(&mut finding, self.tests.get(&self.process));
        let full = self.by_fingerprint.len() >= MOST_FINDINGS;
        match self.by_fingerprint.get_mut(&finding.fingerprint) {
            Some(entry) => absorb(&mut entry.finding, finding, &mut self.fresh),
            None if full => *self.hidden.entry("more than 10000 findings".to_owned()).or_default() += 1,
            None => {
                self.fresh.insert(finding.fingerprint.clone());
                self.next += 1;
                self.by_fingerprint.insert(finding.fingerprint.clone(), Entry { finding, order: self.next });
            }
        }
    }

    /// Was this race described before, with evidence as good? Then it is counted, and need not be described again.
    pub fn again(&mut self, name: Again, evidence: Evidence) -> bool {
        let Some(seen) = self.again.get(&name).filter(|seen| seen.evidence >= evidence) else { return false };
        let entry = seen.fingerprint.as_ref().and_then(|fingerprint| self.by_fingerprint.get_mut(fingerprint));
        if let Some(entry) = entry {
            name_test(&mut entry.finding, self.tests.get(&self.process));
            entry.finding.count += u64::from(counts(entry.finding.evidence, evidence));
        }
        true
    }

    /// Adds a finding under a cheap name: later [`Findings::again`] knows it.
    pub fn add_named(&mut self, name: Again, finding: Finding) {
        if self.again.len() >= MOST_NAMES {
            self.again.clear();
        }
        let seen = Seen { fingerprint: Some(finding.fingerprint.clone()), evidence: finding.evidence };
        self.again.insert(name, seen);
        self.add(finding);
    }

    /// A rule hides this race: it is only counted, under the rule's name, once for each cheap name.
    pub fn hide(&mut self, name: Again, rule: &str) {
        if self.again.len() < MOST_NAMES
            && self.again.insert(name, Seen { fingerprint: None, evidence: Evidence::Observed }).is_none()
        {
            *self.hidden.entry(rule.to_owned()).or_default() += 1;
        }
    }

    pub fn get(&self, fingerprint: &str) -> Option<&Finding> {
        self.by_fingerprint.get(fingerprint).map(|entry| &entry.finding)
    }

    pub fn get_mut(&mut self, fingerprint: &str) -> Option<&mut Finding> {
        self.by_fingerprint.get_mut(fingerprint).map(|entry| &mut entry.finding)
    }

    /// One of the times that it was seen was none.
    pub fn withdraw(&mut self, fingerprint: &str) {
        match self.get_mut(fingerprint) {
            Some(finding) if finding.count > 1 => finding.count -= 1,
            _ => self.remove(fingerprint),
        }
    }

    pub fn remove(&mut self, fingerprint: &str) {
        self.by_fingerprint.remove(fingerprint);
        self.fresh.remove(fingerprint);
    }

    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.by_fingerprint.values().map(|entry| &entry.finding)
    }

    pub fn hidden(&self) -> &BTreeMap<String, u64> {
        &self.hidden
    }

    /// Findings that are new, or whose evidence became stronger, since the last call. In the order they were found.
    pub fn fresh(&mut self) -> Vec<Finding> {
        let fresh = std::mem::take(&mut self.fresh);
        self.ordered(|finding| fresh.contains(&finding.fingerprint))
    }

    /// All findings: the most severe and surest first, then in the order they were found.
    pub fn all(&self) -> Vec<Finding> {
        let mut all = self.ordered(|_| true);
        all.sort_by_key(|finding| (std::cmp::Reverse(finding.severity), std::cmp::Reverse(finding.evidence)));
        all
    }

    fn ordered(&self, keep: impl Fn(&Finding) -> bool) -> Vec<Finding> {
        let mut entries: Vec<&Entry> = self.by_fingerprint.values().filter(|entry| keep(&entry.finding)).collect();
        entries.sort_by_key(|entry| entry.order);
        entries.into_iter().map(|entry| entry.finding.clone()).collect()
    }
}

fn name_test(finding: &mut Finding, test: Option<&String>) {
    if let Some(test) = test.filter(|test| finding.tests.len() < MOST_TESTS && !finding.tests.contains(test)) {
        finding.tests.push(test.clone());
    }
}

/// A count says how often the shown evidence was seen; weaker sightings do not add to it.
fn counts(shown: Evidence, seen: Evidence) -> bool {
    seen >= shown
}

fn absorb(shown: &mut Finding, mut other: Finding, fresh: &mut FxHashSet<String>) {
    let stronger = (other.evidence, other.severity) > (shown.evidence, shown.severity);
    let mut processes = std::mem::take(&mut shown.processes);
    processes.extend(std::mem::take(&mut other.processes));
    processes.sort_unstable();
    processes.dedup();
    let mut tests = std::mem::take(&mut shown.tests);
    other.tests.drain(..).for_each(|test| {
        if !tests.contains(&test) && tests.len() < MOST_TESTS {
            tests.push(test);
        }
    });
    let renamed = shown.subject.name != other.subject.name && shown.subject.kind == "item";
    if stronger {
        fresh.insert(other.fingerprint.clone());
        *shown = other;
    } else if counts(shown.evidence, other.evidence) && shown.severity > Severity::Note {
        shown.count += other.count;
    }
    if renamed {
        shown.subject.name = super::naming::without_key(&shown.subject.name, &shown.subject.kind);
    }
    shown.processes = processes;
    shown.tests = tests;
}
