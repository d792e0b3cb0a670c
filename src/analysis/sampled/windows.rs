//! Windows seen from outside: a parked strand whose value is out of date, and two strands inside windows on one subject
//! at the same verified moment. No lock can have kept them apart, or they would not be there together.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use racetrace_probes::plan::{Operation, SwitchWhy, Window, WindowKind};

use super::describe::{access, access_by, is_in_users_code, name, place, sampled, strand, value};
use super::{Findings, Seen, Who};
use crate::analysis::describe::{Draft, fingerprint_at, kind_of_window};
use crate::analysis::naming;
use crate::event::sample::{Hold, OpenSpan, OpenWindow, StrandState, SubjectValue};
use crate::event::{KeyId, ObjectId, Shape, StackId, Value};
use crate::finding::{AccessReport, Evidence, Finding, Severity, StrandReport, Subject};

#[derive(Debug, Default)]
pub struct Windows {
    /// Who was last seen inside a window on a subject: two of them, the latest first.
    visitors: HashMap<(ObjectId, KeyId), Vec<Visitor>>,
}

#[derive(Debug, Clone)]
struct Visitor {
    who: Who,
    strand: StrandReport,
    holds: Vec<Hold>,
    write: StackId,
}

const MOST_SUBJECTS: usize = 1 << 16;

/// A window of a strand of the sample.
#[derive(Clone, Copy)]
pub(super) struct Inside<'a> {
    pub state: &'a StrandState,
    pub open: OpenWindow,
    pub nature: Nature,
}

/// What the code says about a window.
#[derive(Debug, Clone, Copy)]
pub(super) struct Nature {
    pub kind: WindowKind,
    /// A task can be suspended inside.
    pub suspends: bool,
    /// The interpreter can switch strands inside, for a reason that is certain.
    pub switches: bool,
}

impl Nature {
    fn of(window: &Window) -> Nature {
        let switches = window.switch.as_ref().is_some_and(|switch| switch.why != SwitchWhy::Operator);
        Nature { kind: window.kind, suspends: window.suspends, switches }
    }
}

impl Windows {
    pub fn look(&mut self, seen: &Seen<'_>, findings: &mut Findings) {
        let inside = collect(seen);
        for (index, one) in inside.iter().enumerate() {
            let other = inside.iter().skip(index + 1).find(|other| meets(one, other));
            if let Some(other) = other {
                tell(seen, one, other.open.write, Evidence::Observed, findings, || together(seen, one, other));
            }
        }
        for one in &inside {
            self.visit(seen, one);
        }
        for one in &inside {
            let SubjectValue::Stale { held, now } = one.open.subject else { continue };
            if let Some(other) = self.overtaker(one) {
                let describe = || stale(seen, one, (held, now), other);
                tell(seen, one, other.write, Evidence::Observed, findings, describe);
            }
        }
    }

    fn visit(&mut self, seen: &Seen<'_>, one: &Inside<'_>) {
        if self.visitors.len() >= MOST_SUBJECTS {
            self.visitors.clear();
        }
        let who = Who::of(one.state);
        let visitor = Visitor { who, strand: strand(seen, one.state), holds: one.state.holds.clone(), write: one.open.write };
        let visitors = self.visitors.entry((one.open.object, one.open.key)).or_default();
        visitors.retain(|known| known.who != visitor.who);
        visitors.insert(0, visitor);
        visitors.truncate(4);
    }

    /// Who else is known to store the subject, under no lock that this one holds.
    fn overtaker(&self, one: &Inside<'_>) -> Option<&Visitor> {
        let own = &one.state.holds;
        let shares = |other: &Visitor| other.holds.iter().any(|hold| own.iter().any(|own| own.lock == hold.lock));
        let visitors = self.visitors.get(&(one.open.object, one.open.key))?;
        visitors.iter().find(|other| other.who != Who::of(one.state) && !shares(other))
    }
}

/// Describes a race the first time that it is seen, and counts it every time.
pub(super) fn tell(
    seen: &Seen<'_>,
    one: &Inside<'_>,
    conflict: StackId,
    evidence: Evidence,
    findings: &mut Findings,
    finding: impl FnOnce() -> Finding,
) {
    let OpenWindow { read, write, object, key, .. } = one.open;
    let mut places = DefaultHasher::new();
    (seen.process, read, write, conflict).hash(&mut places);
    let mut subject = DefaultHasher::new();
    (object, key).hash(&mut subject);
    let again = (kind_of_window(one.nature.kind), places.finish(), subject.finish());
    if !findings.again(again, evidence) {
        findings.add_named(again, finding());
    }
}

/// A value that is out of date, and who has made it so.
fn stale(seen: &Seen<'_>, one: &Inside<'_>, (held, now): (Value, Value), other: &Visitor) -> Finding {
    let subject = subject(seen, &one.open);
    let (held, now) = (value(seen, held), value(seen, now));
    let observed = format!(
        "{} holds {held} since {} and stands at {}; {} is {now} by now and will be overwritten at {}",
        name(seen, one.state),
        place(seen, one.open.read),
        place(seen, one.open.stack),
        subject.name,
        place(seen, one.open.write),
    );
    let (read, write) = accesses(seen, one);
    let why = "another strand stored a new value between the read and the write that depends on it".to_owned();
    let conflict = access_by(seen, "conflict", "stores it too", (other.strand.clone(), &other.holds), other.write);
    let accesses = vec![read, write, conflict];
    describe(seen, one, Story { subject, observed, why, accesses, conflict: other.write, sure: OBSERVED })
}

pub(super) fn collect<'a>(seen: &Seen<'a>) -> Vec<Inside<'a>> {
    let mut inside = Vec::new();
    for state in &seen.sample.strands {
        for open in state.windows.iter().filter(|open| is_in_users_code(seen, open.stack)) {
            inside.extend(nature(seen, open).map(|nature| Inside { state, open: *open, nature }));
        }
        inside.extend(state.spans.iter().filter(|span| is_in_users_code(seen, span.stack)).map(|span| across(state, span)));
    }
    inside
}

pub(super) fn nature(seen: &Seen<'_>, open: &OpenWindow) -> Option<Nature> {
    let definitions = seen.world.definitions(seen.process)?;
    let code = definitions.site_of(open.read)?.code;
    definitions.window(code, open.window).map(Nature::of)
}

/// A window across functions, as if it were one within a function.
fn across<'a>(state: &'a StrandState, span: &OpenSpan) -> Inside<'a> {
    let OpenSpan { stack, read, write, checks, object, key } = *span;
    let kind = if checks { WindowKind::CheckThenAct } else { WindowKind::ReadModifyWrite };
    let open = OpenWindow { stack, read, write, window: u16::MAX, object, key, subject: SubjectValue::Unknown };
    Inside { state, open, nature: Nature { kind, suspends: true, switches: true } }
}

/// Two strands inside windows on the same subject.
fn meets(one: &Inside<'_>, other: &Inside<'_>) -> bool {
    Who::of(one.state) != Who::of(other.state)
        && one.open.object == other.open.object
        && one.open.key == other.open.key
        && one.nature.kind == other.nature.kind
}

pub(super) fn subject(seen: &Seen<'_>, open: &OpenWindow) -> Subject {
    let sites: Vec<_> = [open.read, open.write].into_iter().filter_map(|stack| seen.world.site_id(seen.process, stack)).collect();
    let mut subject = naming::subject(seen.world, seen.process, open.object, open.key, &sites);
    if asks_a_list(seen, open) {
        (subject.kind, subject.name) = ("container".to_owned(), naming::container_of(&subject.name).to_owned());
    } else if subject.kind == "item" {
        let label = seen.world.object(seen.process, open.object).and_then(|object| object.label);
        subject.name = match label {
            Some(label) => format!("{}[...]", seen.world.text(seen.process, label)),
            None => naming::without_key(&subject.name, &subject.kind),
        };
    }
    subject
}

/// Is the read `x in some_list`? It is about the list: a list has no place for each value.
fn asks_a_list(seen: &Seen<'_>, open: &OpenWindow) -> bool {
    let is_list = seen.world.object(seen.process, open.object).is_some_and(|object| object.shape == Shape::List);
    let asks = || {
        let definitions = seen.world.definitions(seen.process)?;
        let mut operations = definitions.operations_at(definitions.site_id(open.read)?);
        Some(operations.any(|operation| matches!(operation, Operation::Contains { .. })))
    };
    is_list && asks() == Some(true)
}

fn together(seen: &Seen<'_>, one: &Inside<'_>, other: &Inside<'_>) -> Finding {
    let subject = subject(seen, &one.open);
    let observed = format!(
        "at one moment {} stands at {} and {} at {}, both between reading {} and storing it",
        name(seen, one.state),
        place(seen, one.open.stack),
        name(seen, other.state),
        place(seen, other.open.stack),
        subject.name
    );
    let (read, write) = accesses(seen, one);
    let conflict = access(seen, "conflict", "is inside its own window", other.state, other.open.write);
    let why = "both are past the read, and neither will look again before it writes".to_owned();
    let accesses = vec![read, write, conflict];
    describe(seen, one, Story { subject, observed, why, accesses, conflict: other.open.write, sure: OBSERVED })
}

pub(super) fn accesses(seen: &Seen<'_>, one: &Inside<'_>) -> (AccessReport, AccessReport) {
    let (first, second) = match one.nature.kind {
        WindowKind::ReadModifyWrite => ("read", "write"),
        WindowKind::CheckThenAct => ("check", "act"),
    };
    let read = access(seen, first, "", one.state, one.open.read);
    (read, access(seen, second, "", one.state, one.open.write))
}

/// What differs between the ways in which a race of two windows shows.
pub(super) struct Story {
    pub subject: Subject,
    pub observed: String,
    pub why: String,
    pub accesses: Vec<AccessReport>,
    /// Where the other strand acts.
    pub conflict: StackId,
    pub sure: (Evidence, Severity),
}

pub(super) const OBSERVED: (Evidence, Severity) = (Evidence::Observed, Severity::Error);

pub(super) fn describe(seen: &Seen<'_>, one: &Inside<'_>, story: Story) -> Finding {
    let subject = story.subject;
    let can = story.sure.0 != Evidence::Observed;
    let kind = kind_of_window(one.nature.kind);
    let message = match one.nature.kind {
        WindowKind::ReadModifyWrite => {
            format!("updates of {} {}", subject.name, if can { "can be lost" } else { "are lost" })
        }
        WindowKind::CheckThenAct => {
            let others = if can { "others can change it in between" } else { "others do the same" };
            format!("{} is checked and then acted on while {others}", subject.name)
        }
    };
    let lock = if one.state.task.is_some() { "an asyncio.Lock" } else { "a threading.Lock" };
    let (read, write) = (place(seen, one.open.read), place(seen, one.open.write));
    let extent = if read == write { format!("around {read}") } else { format!("from {read} to {write}") };
    let help = format!("hold one lock {extent}, in every function that changes {}: {lock}", subject.name);
    let (evidence, severity) = story.sure;
    let draft = Draft {
        kind,
        severity,
        evidence,
        subject,
        message,
        accesses: story.accesses,
        why: Some(story.why),
        observed: Some(story.observed),
        help,
    };
    let mut finding = sampled(seen, draft);
    let site = |stack: StackId| seen.world.site_id(seen.process, stack);
    if let (Some(own), Some(other)) = (site(one.open.write), site(story.conflict)) {
        finding.fingerprint = fingerprint_at(seen.world, seen.process, kind, &finding.subject, [own, other]);
    }
    finding
}
