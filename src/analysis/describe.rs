//! How the hazard detectors put what they saw into a finding: accesses with their stacks and locks, strands' names, and
//! the finding's fingerprint. It decides nothing.

use racetrace_probes::plan::WindowKind;

use super::definitions::{Definitions, SiteId};
use super::lock::{Held, LockId};
use super::naming;
use super::options::Origin;
use super::strand::StrandId;
use super::world::World;
use crate::event::{ProcessId, StackId, origin};
use crate::finding::{AccessReport, Basis, Evidence, Finding, Kind, LockReport, Severity, Subject};
use crate::finding::{Site, fingerprint};

/// One thing that a strand did, for a finding.
#[derive(Debug, Clone, Copy)]
pub struct Act<'a> {
    pub role: &'a str,
    pub what: &'a str,
    pub strand: StrandId,
    pub stack: StackId,
    pub held: &'a [Held],
}

pub fn access(world: &World, act: Act<'_>) -> AccessReport {
    let process = process_of(world, act.strand);
    AccessReport {
        role: act.role.to_owned(),
        what: Some(act.what.to_owned()).filter(|what| !what.is_empty()),
        strand: world.strand_report(act.strand),
        stack: world.frames(process, act.stack),
        locks: lock_reports(world, process, act.held),
    }
}

pub fn lock_reports(world: &World, process: ProcessId, held: &[Held]) -> Vec<LockReport> {
    let shown = held.iter().filter(|held| !is_internal(world, held.lock));
    shown.map(|held| naming::lock_report(world, held.lock, process, held.stack)).collect()
}

/// The name of a strand in a sentence.
pub fn name(world: &World, strand: StrandId) -> String {
    let report = world.strand_report(strand);
    format!("{} {}", report.kind, report.name)
}

/// The names of two strands in a sentence: those of different processes with their processes.
pub fn names(world: &World, [one, other]: [StrandId; 2]) -> [String; 2] {
    let apart = process_of(world, one) != process_of(world, other);
    [one, other].map(|strand| {
        let name = name(world, strand);
        if apart { with_process(world, strand, name) } else { name }
    })
}

/// `MainThread of SpawnProcess-2`, or `of process 4243`.
pub fn with_process(world: &World, strand: StrandId, name: String) -> String {
    let id = process_of(world, strand);
    match (world.process_name(id), world.process(id)) {
        (Some(process), _) => format!("{name} of {process}"),
        (None, Some(process)) => format!("{name} of process {}", process.info.pid),
        (None, None) => name,
    }
}

/// `app.knife`, for a sentence and for a subject.
pub fn lock_names(world: &World, locks: impl IntoIterator<Item = LockId>) -> Subject {
    let mut names: Vec<String> = locks.into_iter().map(|lock| naming::lock(world, lock)).collect();
    names.sort();
    Subject { kind: "locks".to_owned(), name: names.join(",") }
}

pub fn process_of(world: &World, strand: StrandId) -> ProcessId {
    world.strand(strand).map_or(ProcessId(0), |strand| strand.process)
}

/// What a finding is made of, before its fingerprint.
#[derive(Debug)]
pub struct Draft {
    pub kind: Kind,
    pub severity: Severity,
    pub evidence: Evidence,
    pub subject: Subject,
    pub message: String,
    pub accesses: Vec<AccessReport>,
    pub why: Option<String>,
    pub observed: Option<String>,
    pub help: String,
}

pub fn finding(world: &World, process: ProcessId, draft: Draft) -> Finding {
    let sites: Vec<Site<'_>> = draft.accesses.iter().filter_map(site).collect();
    Finding {
        fingerprint: fingerprint(draft.kind, &draft.subject.name, &sites),
        kind: draft.kind,
        severity: draft.severity,
        evidence: draft.evidence,
        basis: Basis::Traced,
        subject: draft.subject,
        message: draft.message,
        accesses: draft.accesses,
        why: draft.why,
        switch: None,
        observed: draft.observed,
        count: 1,
        help: draft.help,
        timeline: Vec::new(),
        interleaving: Vec::new(),
        tests: Vec::new(),
        processes: world.process(process).map(|process| process.info.pid).into_iter().collect(),
    }
}

/// What a window makes of an access that falls into it.
pub fn kind_of_window(window: WindowKind) -> Kind {
    match window {
        WindowKind::ReadModifyWrite => Kind::ReadModifyWrite,
        WindowKind::CheckThenAct => Kind::CheckThenAct,
    }
}

/// The fingerprint of a race of two accesses to one subject.
pub fn fingerprint_at(world: &World, process: ProcessId, kind: Kind, subject: &Subject, sites: [SiteId; 2]) -> String {
    let frames = sites.map(|site| {
        let definitions = world.definitions(process)?;
        Some((definitions.frame(site)?, ordinal(definitions, site)))
    });
    let sites: Vec<Site<'_>> = frames
        .iter()
        .flatten()
        .map(|(frame, ordinal)| Site { file: &frame.file, function: &frame.function, ordinal: *ordinal })
        .collect();
    fingerprint(kind, &naming::without_key(&subject.name, &subject.kind), &sites)
}

/// Which of its function's accesses to this path a site is.
fn ordinal(definitions: &Definitions, site: SiteId) -> u32 {
    let Some(site) = definitions.site(site) else { return 0 };
    let Some(entry) = definitions.code(site.code) else { return 0 };
    let same = entry.plan.watches.iter().filter(|watch| Some(watch.path.as_str()) == site.path.as_deref());
    let before = same.filter(|watch| watch.offset < site.offset).count();
    u32::try_from(before).unwrap_or(u32::MAX)
}

/// The innermost frame that is the program's own, else the innermost.
fn site(access: &AccessReport) -> Option<Site<'_>> {
    let own = access.stack.iter().find(|frame| !is_library_file(&frame.file)).or_else(|| access.stack.first())?;
    Some(Site { file: &own.file, function: &own.function, ordinal: 0 })
}

fn is_library_file(file: &str) -> bool {
    origin::of_file(file) != Origin::User
}

/// Is some frame of this stack the user's own code?
pub fn touches_user_code(world: &World, process: ProcessId, stack: StackId) -> bool {
    let Some(definitions) = world.definitions(process) else { return false };
    definitions.walk(stack).any(|(_, entry)| definitions.site(entry.site).is_some_and(|site| site.origin == Origin::User))
}

/// Where the strand acts on its own behalf: the innermost frame outside the standard library's wrappers of locks.
pub fn acts_for(world: &World, process: ProcessId, stack: StackId) -> Option<Origin> {
    let definitions = world.definitions(process)?;
    let mut entries = definitions.walk(stack).filter_map(|(_, entry)| {
        let site = definitions.site(entry.site)?;
        Some((site.origin, definitions.code(site.code)?))
    });
    let outside = entries.find(|(origin, code)| *origin != Origin::Standard || !is_wrapper(&code.info.module));
    outside.map(|(origin, _)| origin)
}

/// Modules whose functions take locks on behalf of their caller.
fn is_wrapper(module: &str) -> bool {
    matches!(module, "threading" | "asyncio.locks" | "asyncio.mixins" | "contextlib" | "_pyio" | "queue")
}

/// A lock that the standard library makes for itself and hands to another strand to release: what `Condition.wait`,
/// `Event.wait` and thread start-up are made of.
pub fn is_internal(world: &World, lock: LockId) -> bool {
    let Some(lock) = world.lock(lock) else { return true };
    if lock.signals {
        return true;
    }
    let Some(created) = lock.created else { return false };
    let Some(site) = world.site(lock.process, created) else { return false };
    let Some(code) = world.definitions(lock.process).and_then(|definitions| definitions.code(site.code)) else { return false };
    site.origin == Origin::Standard
        && match code.info.module.as_str() {
            // Up to 3.14 `RLock` is a function, whose lock is its caller's.
            "threading" => !matches!(code.info.code.name.as_str(), "__init__" | "RLock"),
            "importlib._bootstrap" | "_frozen_importlib" => true,
            _ => false,
        }
}
