//! Values that several processes share: read-modify-write and check-then-act on them, by whichever strand of whichever
//! process. Each single access is locked by itself; what lies in the memory of one process is [`super::windows`]' business.

use racetrace_probes::plan::WindowKind;
use racetrace_probes::wire::MANAGED;
use rustc_hash::FxHashMap;

use super::Detector;
use super::definitions::Definitions;
use super::describe::{self, Act, Draft, finding};
use super::findings::Findings;
use super::interleaving;
use super::lock::Held;
use super::naming;
use super::picture::{self, Scene};
use super::point::{Point, can_meet, keep_last};
use super::strand::StrandId;
use super::world::World;
use crate::event::{Event, FrameId, ProcessId, Record, StackId};
use crate::finding::{Evidence, Severity, Subject};

/// A strand has read a value, and may go on to write it.
#[derive(Debug, Clone)]
struct Read {
    frame: FrameId,
    what: String,
    point: Point,
}

#[derive(Debug, Clone)]
struct Window {
    process: ProcessId,
    by: By,
    kind: WindowKind,
    read: Point,
    written: Point,
}

/// By what the processes share a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// Memory, with a lock that each access takes.
    Lock,
    /// A process that keeps it, and that each access asks.
    Manager,
}

impl By {
    fn of(what: &str) -> By {
        if what.starts_with(MANAGED) { By::Manager } else { By::Lock }
    }

    /// What reading it, storing it, and both together mean.
    fn words(self) -> [&'static str; 3] {
        match self {
            By::Lock => [
                "takes its lock, reads it, and gives the lock back",
                "takes its lock again and stores it",
                "its lock is held for each access alone; between two of them other processes can have it",
            ],
            By::Manager => [
                "asks the manager for it",
                "has the manager store it",
                "the manager does one call after the other; between two of one process it does those of others",
            ],
        }
    }

    fn help(self, name: &str) -> String {
        match self {
            By::Lock => format!("hold its lock over both: with {}.get_lock(): …", holder(name)),
            By::Manager => format!("hold one lock of the manager's (manager.Lock()) over both, wherever {name} is changed"),
        }
    }
}

#[derive(Debug, Clone)]
struct Rival {
    process: ProcessId,
    point: Point,
    /// It only made the check of a window, and found what that one's act had left: it would have acted, too.
    only_checked: bool,
}

#[derive(Debug, Default)]
struct Value {
    windows: Vec<Window>,
    writes: Vec<Rival>,
}

/// Values that are remembered; windows and writes of each; reads of each strand.
const VALUES: usize = 16_384;
const KEPT: usize = 32;
const READS: usize = 16;

#[derive(Debug, Default)]
pub struct Shared {
    values: FxHashMap<String, Value>,
    reads: FxHashMap<StrandId, Vec<Read>>,
}

impl Detector for Shared {
    fn record(&mut self, world: &World, record: &Record, findings: &mut Findings) {
        match &record.event {
            Event::Shared { what, writes, stack, frame } => {
                let Some(point) = Point::of(world, record, *stack) else { return };
                let read = Read { frame: *frame, what: world.text(record.process, *what).to_owned(), point };
                if *writes {
                    self.written(world, record.process, read, findings);
                } else if world.site(record.process, *stack).is_some_and(|site| site.opens) {
                    self.checked(world, record.process, &read, findings);
                    let reads = self.reads.entry(read.point.strand).or_default();
                    keep_last(reads, READS, read, |a, b| a.what == b.what && a.point.stack == b.point.stack);
                }
            }
            Event::ThreadEnd => {
                world.strand_of(record).map(|strand| self.reads.remove(&strand));
            }
            Event::Gap { .. } | Event::Settled | Event::ProcessEnd { .. } => {
                self.reads.retain(|strand, _| describe::process_of(world, *strand) != record.process);
            }
            _ => {}
        }
    }
}

impl Shared {
    /// The same check that others began with. Had it come a little earlier, both would have acted.
    fn checked(&self, world: &World, process: ProcessId, read: &Read, findings: &mut Findings) {
        let Some(value) = self.values.get(&read.what) else { return };
        for window in value.windows.iter().filter(|window| window.kind == WindowKind::CheckThenAct) {
            if can_land(world, window, &read.point) && is_one_place(world, &window.read, &read.point) {
                let rival = Rival { process, point: read.point.clone(), only_checked: true };
                tell(world, window, &rival, Evidence::Possible, findings);
            }
        }
    }

    fn written(&mut self, world: &World, process: ProcessId, write: Read, findings: &mut Findings) {
        let closed = self.closed(world, process, &write);
        if self.values.len() >= VALUES && !self.values.contains_key(&write.what) {
            // Forgetting adds no findings.
            self.values.clear();
        }
        let value = self.values.entry(write.what).or_default();
        let write = Rival { process, point: write.point, only_checked: false };
        for window in &closed {
            for other in value.writes.iter().filter(|other| other.point.strand != window.read.strand) {
                let between = window.read.time < other.point.time && other.point.time < window.written.time;
                // Told to, and waited for: that is how the program works.
                let asked = window.read.is_before(&other.point) && other.point.is_before(&window.written);
                if between && !asked {
                    tell(world, window, other, Evidence::Observed, findings);
                } else if !between && can_land(world, window, &other.point) {
                    tell(world, window, other, Evidence::Possible, findings);
                }
            }
        }
        for window in value.windows.iter().filter(|window| can_land(world, window, &write.point)) {
            tell(world, window, &write, Evidence::Possible, findings);
        }
        for window in closed {
            let same = |a: &Window, b: &Window| a.written.strand == b.written.strand && a.written.stack == b.written.stack;
            keep_last(&mut value.windows, KEPT, window, same);
        }
        keep_last(&mut value.writes, KEPT, write, |a, b| a.point.strand == b.point.strand && a.point.stack == b.point.stack);
    }

    /// The windows that this write closes.
    fn closed(&self, world: &World, process: ProcessId, write: &Read) -> Vec<Window> {
        let (Some(definitions), Some(reads)) = (world.definitions(process), self.reads.get(&write.point.strand)) else {
            return Vec::new();
        };
        let Some(site) = definitions.site_of(write.point.stack) else { return Vec::new() };
        let window = |index: &u16| {
            let window = definitions.window(site.code, *index)?;
            let opens = |read: &&Read| {
                read.frame == write.frame
                    && read.what == write.what
                    && definitions
                        .site_of(read.point.stack)
                        .is_some_and(|of| of.code == site.code && window.reads.contains(&of.offset))
            };
            let read = reads.iter().filter(opens).max_by_key(|read| read.point.time)?.point.clone();
            Some(Window { process, by: By::of(&write.what), kind: window.kind, read, written: write.point.clone() })
        };
        site.closes.iter().filter_map(window).collect()
    }
}

/// Nothing keeps the write of another strand out of the window.
fn can_land(world: &World, window: &Window, other: &Point) -> bool {
    let before = other.time < window.read.time;
    let (earlier, later) = if before { (other, &window.read) } else { (&window.written, other) };
    window.read.strand != other.strand
        && !earlier.is_before(later)
        && !window.read.is_guarded(&window.written, other)
        && can_meet(world, earlier, later, false)
}

/// Numbers of places are each process' own.
fn is_one_place(world: &World, one: &Point, other: &Point) -> bool {
    let place = |point: &Point| world.frames(describe::process_of(world, point.strand), point.stack).into_iter().next();
    place(one).is_some_and(|frame| place(other) == Some(frame))
}

fn tell(world: &World, window: &Window, other: &Rival, evidence: Evidence, findings: &mut Findings) {
    let kind = describe::kind_of_window(window.kind);
    let site = |process: ProcessId, stack: StackId| world.site_id(process, stack).map_or(u64::from(u32::MAX), u64::from);
    let (read, written) = (site(window.process, window.read.stack), site(window.process, window.written.stack));
    let again = (kind, (written << 32) | site(other.process, other.point.stack), read);
    if findings.again(again, evidence) {
        return;
    }
    let Some(subject) = world.definitions(window.process).and_then(|definitions| subject(definitions, &window.written)) else {
        return;
    };
    let name = subject.name.clone();
    let [who, rival] = describe::names(world, [window.read.strand, other.point.strand]);
    let observed = evidence == Evidence::Observed;
    let (first, second) = match window.kind {
        WindowKind::ReadModifyWrite => ("reads", "stores a value worked out from it"),
        WindowKind::CheckThenAct => ("checks", "acts on it"),
    };
    let message = match observed {
        true => format!("{who} {first} {name} and then {second}, but {rival} changed it in between"),
        false if other.only_checked => {
            format!(
                "{who} {first} {name} and then {second}; {rival} makes the same check, and nothing keeps both from passing it"
            )
        }
        false => format!("{who} {first} {name} and then {second}, and nothing keeps {rival} from changing it in between"),
    };
    let access = |role, what: &str, point: &Point| {
        let held = held_around(world, point);
        describe::access(world, Act { role, what, strand: point.strand, stack: point.stack, held: &held })
    };
    let (role, act) = match window.kind {
        WindowKind::ReadModifyWrite => ("read", "write"),
        WindowKind::CheckThenAct => ("check", "act"),
    };
    let [reads, stores, why] = window.by.words();
    let did = if other.only_checked { "makes the same check" } else { "stores it" };
    let draft = Draft {
        kind,
        severity: Severity::Error,
        evidence,
        message,
        accesses: vec![
            access(role, reads, &window.read),
            access(act, stores, &window.written),
            access("conflict", did, &other.point),
        ],
        why: Some(why.to_owned()),
        observed: observed.then(|| format!("{rival} stored it between the two")),
        help: window.by.help(&name),
        subject,
    };
    let mut made = finding(world, window.process, draft);
    if observed {
        let scenes =
            [Scene::of(&window.read, 0, role), Scene::of(&other.point, 2, "conflict"), Scene::of(&window.written, 1, act)];
        made.timeline = picture::timeline(world, &scenes);
    } else {
        let mine = window.read.strand;
        let steps = [(0, mine, "reads it"), (2, other.point.strand, did), (1, mine, "acts on the outdated value")];
        made.interleaving = interleaving::turns(world, &steps);
    }
    findings.add_named(again, made);
}

/// Locks that are held there, but for the one that the access itself takes and gives back.
fn held_around(world: &World, point: &Point) -> Vec<Held> {
    let Some(definitions) = world.definitions(describe::process_of(world, point.strand)) else { return Vec::new() };
    let here = definitions.site_id(point.stack);
    point.held().iter().filter(|held| definitions.outside_stdlib(held.stack) != here).copied().collect()
}

/// As the code that writes it names it.
fn subject(definitions: &Definitions, point: &Point) -> Option<Subject> {
    let site = definitions.site_of(point.stack)?;
    let path = site.path.as_deref()?;
    let kind = if path.ends_with(']') { "item" } else { "attribute" };
    Some(Subject { kind: kind.to_owned(), name: naming::qualified(definitions, definitions.code(site.code)?, path) })
}

/// `Pool.hits` of `Pool.hits.value` and of `Pool.hits[3]`.
fn holder(name: &str) -> &str {
    match name.rfind(['.', '[']) {
        Some(at) => name.get(..at).unwrap_or(name),
        None => name,
    }
}

#[cfg(test)]
mod tests;
