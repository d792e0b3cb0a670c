//! `file-check-then-use`: a strand asks about a path and then acts on it, while others can change it in between. What is
//! written to open files is [`super::files`]' business.

use rustc_hash::FxHashMap;

use super::Detector;
use super::definitions::Definitions;
use super::describe::{self, Act, Draft, finding};
use super::findings::Findings;
use super::interleaving;
use super::naming;
use super::picture::{self, Scene};
use super::point::{Point, keep_last};
use super::source;
use super::world::World;
use crate::event::{CodeId, Event, PathEffect, ProcessId, Record, StackId};
use crate::finding::{Evidence, Kind, Severity, Subject};

/// A strand has asked about a path.
#[derive(Debug, Clone)]
struct Check {
    process: ProcessId,
    point: Point,
    /// Number of the last change of the path when it was asked about.
    changes: u64,
}

/// A strand acted on what it had asked about.
#[derive(Debug, Clone)]
struct Window {
    process: ProcessId,
    check: Point,
    used: Point,
    effect: PathEffect,
}

/// A strand did something to the path that can undo what a check has found.
#[derive(Debug, Clone)]
struct Change {
    process: ProcessId,
    point: Point,
    effect: PathEffect,
    number: u64,
    /// It only made the check of a window, and found what that one's act had left: it would have acted, too.
    only_checked: bool,
}

#[derive(Debug, Default)]
struct Path {
    checks: Vec<Check>,
    windows: Vec<Window>,
    changes: Vec<Change>,
}

/// Paths that are remembered, and checks, windows and changes of each.
const PATHS: usize = 16_384;
const KEPT: usize = 16;

#[derive(Debug, Default)]
pub struct Paths {
    paths: FxHashMap<String, Path>,
    number: u64,
    /// Answers of [`source::copes`] by code, check and use.
    copes: FxHashMap<(ProcessId, CodeId, u32, u32), bool>,
}

impl Detector for Paths {
    fn record(&mut self, world: &World, record: &Record, findings: &mut Findings) {
        match &record.event {
            Event::PathCheck { path, stack, .. } => {
                let Some(point) = Point::of(world, record, *stack) else { return };
                let changes = self.number;
                self.checked(world, record.process, world.text(record.process, *path), &point, findings);
                let path = self.path(world.text(record.process, *path));
                let check = Check { process: record.process, point, changes };
                keep_last(&mut path.checks, KEPT, check, |a, b| {
                    a.point.strand == b.point.strand && a.point.stack == b.point.stack
                });
            }
            Event::PathUse { path, effect, tolerant, stack, .. } => {
                let Some(point) = Point::of(world, record, *stack) else { return };
                let path = world.text(record.process, *path).to_owned();
                if !tolerant {
                    self.used(world, record.process, &path, &point, *effect, findings);
                }
                if *effect != PathEffect::Open {
                    self.changed(world, record.process, &path, point, *effect, findings);
                }
            }
            Event::PathFailed { path, effect, tolerant: false, stack, .. } => {
                let Some(point) = Point::of(world, record, *stack) else { return };
                let path = world.text(record.process, *path).to_owned();
                self.used(world, record.process, &path, &point, *effect, findings);
            }
            Event::Gap { .. } | Event::Settled | Event::ProcessEnd { .. } => {
                for path in self.paths.values_mut() {
                    path.checks.retain(|check| check.process != record.process);
                    path.windows.retain(|window| window.process != record.process);
                    path.changes.retain(|change| change.process != record.process);
                }
            }
            _ => {}
        }
    }
}

impl Paths {
    fn path(&mut self, path: &str) -> &mut Path {
        if self.paths.len() >= PATHS && !self.paths.contains_key(path) {
            // Forgetting adds no findings.
            self.paths.clear();
        }
        self.paths.entry(path.to_owned()).or_default()
    }

    fn used(
        &mut self,
        world: &World,
        process: ProcessId,
        name: &str,
        point: &Point,
        effect: PathEffect,
        findings: &mut Findings,
    ) {
        let Some(path) = self.paths.get(name) else { return };
        let own = |check: &&Check| check.point.strand == point.strand && belongs(world, process, check.point.stack, point.stack);
        let Some(check) = path.checks.iter().filter(own).max_by_key(|check| check.point.time).cloned() else { return };
        if self.copes_with(world, process, check.point.stack, point.stack) {
            return;
        }
        let window = Window { process, check: check.point.clone(), used: point.clone(), effect };
        let Some(path) = self.paths.get_mut(name) else { return };
        let others = path.changes.iter().filter(|change| change.point.strand != point.strand && undoes(change.effect, effect));
        for change in others {
            let between = change.number > check.changes;
            // A child that has ended was probably waited for.
            let waited_for = change.process != process && world.process(change.process).is_none_or(|other| other.ended.is_some());
            if between && !waited_for && !(check.point.is_before(&change.point) && change.point.is_before(point)) {
                tell(world, name, &window, change, Evidence::Observed, findings);
            } else if !between && can_land(world, &window, change) {
                tell(world, name, &window, change, Evidence::Possible, findings);
            }
        }
        keep_last(&mut path.windows, KEPT, window, |a, b| a.used.strand == b.used.strand && a.used.stack == b.used.stack);
    }

    /// The same check that others began with. Had it come a little earlier, both would have acted.
    fn checked(&mut self, world: &World, process: ProcessId, name: &str, point: &Point, findings: &mut Findings) {
        let Some(path) = self.paths.get(name) else { return };
        let site = world.site_id(process, point.stack);
        for window in path.windows.iter().filter(|window| window.process == process && undoes(window.effect, window.effect)) {
            let Window { effect, .. } = *window;
            let would = Change { process, point: point.clone(), effect, number: self.number, only_checked: true };
            if site.is_some() && world.site_id(process, window.check.stack) == site && can_land(world, window, &would) {
                tell(world, name, window, &would, Evidence::Possible, findings);
            }
        }
    }

    fn changed(
        &mut self,
        world: &World,
        process: ProcessId,
        name: &str,
        point: Point,
        effect: PathEffect,
        findings: &mut Findings,
    ) {
        self.number += 1;
        let change = Change { process, point, effect, number: self.number, only_checked: false };
        let path = self.path(name);
        for window in path.windows.iter().filter(|window| undoes(effect, window.effect) && can_land(world, window, &change)) {
            tell(world, name, window, &change, Evidence::Possible, findings);
        }
        keep_last(&mut path.changes, KEPT, change, |a, b| a.point.strand == b.point.strand && a.point.stack == b.point.stack);
    }

    /// An `except` clause around the use alone: the check is only a shortcut.
    fn copes_with(&mut self, world: &World, process: ProcessId, check: StackId, used: StackId) -> bool {
        let Some(definitions) = world.definitions(process) else { return false };
        let (Some(check), Some(used)) = (definitions.site_of(check), definitions.site_of(used)) else { return false };
        let Some(entry) = definitions.code(used.code).filter(|_| used.code == check.code) else { return false };
        let key = (process, used.code, check.offset, used.offset);
        *self
            .copes
            .entry(key)
            .or_insert_with(|| source::copes(&entry.info.code, definitions.version(), check.offset, used.offset))
    }
}

/// The use is made in the activation that made the check, or in one that a span ties to it.
fn belongs(world: &World, process: ProcessId, check: StackId, used: StackId) -> bool {
    if check == used {
        return false;
    }
    let Some(definitions) = world.definitions(process) else { return false };
    let (Some(one), Some(other)) = (definitions.stack(check), definitions.stack(used)) else { return false };
    let (Some(one_site), Some(other_site)) = (definitions.site(one.site), definitions.site(other.site)) else { return false };
    if one.parent == other.parent && one_site.code == other_site.code {
        // One call that asks and acts (a function of the library) is its author's business.
        return one_site.offset != other_site.offset;
    }
    spanned(definitions, check, used)
}

/// How many calls below the function that ties them check and use may be.
const DEPTH: usize = 3;

/// Some function near both has called the one that checks and the one that acts, and what the first returned decides on
/// the second.
fn spanned(definitions: &Definitions, check: StackId, used: StackId) -> bool {
    definitions.walk(check).take(DEPTH).any(|(_, one)| {
        definitions.walk(used).take(DEPTH).any(|(_, other)| {
            let (Some(one_site), Some(other_site)) = (definitions.site(one.site), definitions.site(other.site)) else {
                return false;
            };
            one.parent == other.parent
                && one_site.code == other_site.code
                && definitions.code(one_site.code).is_some_and(|entry| {
                    entry.plan.spans.iter().any(|span| span.read == one_site.offset && span.write == other_site.offset)
                })
        })
    })
}

/// Can that change make the use fail, or do harm, although the check allowed it?
pub(super) fn undoes(change: PathEffect, used: PathEffect) -> bool {
    use PathEffect::{Change, Create, MakeDirectory, Open, Remove, Rename};
    match used {
        Open | Change => matches!(change, Remove | Rename),
        Create | MakeDirectory => matches!(change, Create | MakeDirectory | Remove | Rename),
        Remove => matches!(change, Remove | Rename | Create),
        Rename => matches!(change, Remove | Rename | Create | MakeDirectory),
    }
}

/// Nothing keeps the change of another strand out of the window.
fn can_land(world: &World, window: &Window, change: &Change) -> bool {
    let (check, used, other) = (&window.check, &window.used, &change.point);
    let (earlier, later) = if other.time < check.time { (other, check) } else { (used, other) };
    check.strand != other.strand
        && window.process == change.process
        && (check.thread != other.thread || check.gave_way(used))
        && !earlier.is_before(later)
        && !world.seen_before(earlier.at.moment, later.strand)
        && !check.is_guarded(used, other)
        && world.could_meet(check.strand, other.strand)
}

fn tell(world: &World, path: &str, window: &Window, change: &Change, evidence: Evidence, findings: &mut Findings) {
    let site = |process: ProcessId, stack: StackId| world.site_id(process, stack).map_or(u64::from(u32::MAX), u64::from);
    let (used, conflict) = (site(window.process, window.used.stack), site(change.process, change.point.stack));
    let again = (Kind::FileCheckThenUse, (used << 32) | conflict, site(window.process, window.check.stack));
    if findings.again(again, evidence) {
        return;
    }
    let name = naming::base(path).to_owned();
    let does = acts(window.effect);
    let did = if change.only_checked { "makes the same check" } else { acts(change.effect) };
    let did_it = if change.only_checked { did.to_owned() } else { format!("{did} it") };
    let access = |role, what: &str, point: &Point| {
        describe::access(world, Act { role, what, strand: point.strand, stack: point.stack, held: point.held() })
    };
    let [who, other] = describe::names(world, [window.check.strand, change.point.strand]);
    let observed = evidence == Evidence::Observed;
    let message = if observed {
        format!("{who} checks {name} and then {does} it, but {other} {did} it in between")
    } else if change.only_checked {
        format!("{who} checks {name} and then {does} it; {other} {did}, and nothing keeps both from passing it")
    } else {
        format!("{who} checks {name} and then {does} it, and nothing keeps {other}, which {did} it, from doing so in between")
    };
    let draft = Draft {
        kind: Kind::FileCheckThenUse,
        severity: if observed { Severity::Error } else { Severity::Warning },
        evidence,
        subject: Subject { kind: "file".to_owned(), name },
        message,
        accesses: vec![
            access("check", "asks about the path", &window.check),
            access("act", &format!("{does} it"), &window.used),
            access("conflict", &did_it, &change.point),
        ],
        why: Some("the file system can change between two calls, whoever asked first".to_owned()),
        observed: observed.then(|| format!("{other} {did} it between the check and the act")),
        help: help(window.effect).to_owned(),
    };
    let mut made = finding(world, window.process, draft);
    if observed {
        let scenes = [Scene::of(&window.check, 0, "check"), Scene::of(&change.point, 2, did), Scene::of(&window.used, 1, does)];
        made.timeline = picture::timeline(world, &scenes);
    } else {
        let mine = window.check.strand;
        let steps = [
            (0, mine, "asks about the path"),
            (2, change.point.strand, did_it.as_str()),
            (1, mine, "acts on the outdated answer"),
        ];
        made.interleaving = interleaving::turns(world, &steps);
    }
    findings.add_named(again, made);
}

pub(super) fn acts(effect: PathEffect) -> &'static str {
    match effect {
        PathEffect::Open => "uses",
        PathEffect::Create => "writes",
        PathEffect::Remove => "removes",
        PathEffect::Rename => "renames",
        PathEffect::MakeDirectory => "makes",
        PathEffect::Change => "changes",
    }
}

pub(super) fn help(effect: PathEffect) -> &'static str {
    match effect {
        PathEffect::Open => "open it without asking, and catch FileNotFoundError",
        PathEffect::Create => {
            "open it with mode \"x\" (O_CREAT | O_EXCL), and catch FileExistsError: the system then lets only one through"
        }
        PathEffect::Remove => "remove it without asking: Path.unlink(missing_ok=True), or catch FileNotFoundError",
        PathEffect::Rename => "use os.replace without asking, and catch FileNotFoundError",
        PathEffect::MakeDirectory => "use os.makedirs(path, exist_ok=True)",
        PathEffect::Change => "change it without asking, and catch FileNotFoundError",
    }
}

#[cfg(test)]
mod tests;
