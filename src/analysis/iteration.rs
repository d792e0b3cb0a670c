//! `mutation-during-iteration`: containers that change while a loop walks them, by another strand or by the loop's own
//! body. What is split from what is decided in [`super::walks`]; here events come in and findings go out.

use super::Detector;
use super::describe::{self, Act, Draft, finding};
use super::findings::Findings;
use super::interleaving;
use super::naming;
use super::options::Origin;
use super::picture::{self, Scene};
use super::point::Point;
use super::strand::StrandId;
use super::walks::{Beginning, Change, Effect, Verdict, Walks};
use super::world::World;
use crate::event::{Access, Action, Event, FrameId, KeyId, ObjectId, Record, Shape, StackId};
use crate::finding::{Evidence, Finding, Kind, Moment, Severity};

#[derive(Debug, Default)]
pub struct Iteration {
    walks: Walks,
}

impl Detector for Iteration {
    fn follows_accesses(&self) -> bool {
        true
    }

    fn record(&mut self, world: &World, record: &Record, findings: &mut Findings) {
        match &record.event {
            Event::IterBegin { object, iterator, frame, length, stack } => {
                self.begin(world, record, *object, *iterator, (*frame, *length, *stack));
            }
            Event::IterNext { iterator, length, stack } => {
                let Some(point) = Point::of(world, record, *stack) else { return };
                let verdict = self.walks.next(record.process, *iterator, *length, point);
                verdict.into_iter().for_each(|verdict| tell(world, &verdict, findings));
                self.look_back(world, record, *iterator, findings);
            }
            Event::IterEnd { iterator } => {
                self.look_back(world, record, *iterator, findings);
                self.walks.end(record.process, *iterator);
            }
            Event::Access(access) if access.action != Action::Read => self.change(world, record, access, findings),
            Event::ObjectEnd { id } => self.walks.forget((record.process, *id)),
            Event::Gap { .. } | Event::Settled | Event::ProcessEnd { .. } => self.walks.forget_process(record.process),
            _ => {}
        }
    }
}

impl Iteration {
    fn begin(
        &mut self,
        world: &World,
        record: &Record,
        object: ObjectId,
        iterator: u64,
        (frame, length, stack): (FrameId, Option<u64>, StackId),
    ) {
        let Some(point) = Point::of(world, record, stack) else { return };
        let by_size = matches!(world.shape(record.process, object), Some(Shape::Dict | Shape::Set));
        self.walks.begin((record.process, object), iterator, Beginning { frame, by_size, length, point });
    }

    fn change(&mut self, world: &World, record: &Record, access: &Access, findings: &mut Findings) {
        let Some(effect) = world.shape(record.process, access.object).and_then(|shape| effect(world, record, shape, access))
        else {
            return;
        };
        let object = (record.process, access.object);
        if effect == Effect::MayResize && !self.walks.is_walked(object) {
            return;
        }
        let here = world.strand_of(record).and_then(|strand| Some((strand, world.moment(strand)?)));
        if here.is_none_or(|(strand, moment)| self.walks.is_known(object, strand, access.stack, moment)) {
            return;
        }
        let Some(point) = Point::of(world, record, access.stack) else { return };
        for verdict in self.walks.change((record.process, access.object), &Change { point, effect }) {
            tell_possible(world, &verdict, findings);
        }
    }

    /// Changes before the loop that could as well have come during it.
    fn look_back(&self, world: &World, record: &Record, iterator: u64, findings: &mut Findings) {
        let Some(strand) = world.strand_of(record) else { return };
        let birth = world.strand(strand).and_then(|strand| strand.birth.clone());
        let existed = |first: &super::clock::Stamp| birth.as_ref().is_none_or(|birth| birth.includes(first.moment));
        let is_shared = |change: &Change| naming::is_reached_by_a_global(world, record.process, change.point.stack);
        for verdict in self.walks.earlier_changes(record.process, iterator, existed, is_shared) {
            tell_possible(world, &verdict, findings);
        }
    }
}

/// What an access does to the size of its container; `None` if nothing, or if it is not one that is walked.
fn effect(world: &World, record: &Record, shape: Shape, access: &Access) -> Option<Effect> {
    if !matches!(shape, Shape::Dict | Shape::Set | Shape::List | Shape::Deque) {
        return None;
    }
    // Whether the key was new cannot always be told; the loop sees whether the size changed.
    if access.action == Action::Write {
        return (shape == Shape::Dict).then_some(Effect::MayResize);
    }
    let method = method(world, record, access.stack).unwrap_or_default();
    match (shape, access.action) {
        (Shape::Dict | Shape::Set | Shape::List | Shape::Deque, Action::Delete) => Some(Effect::Resizes),
        (Shape::Dict | Shape::Set, Action::Insert) => Some(Effect::Resizes),
        (Shape::List, Action::Update | Action::Insert) if matches!(method, "append" | "extend") => Some(Effect::Appends),
        (Shape::List | Shape::Deque | Shape::Set | Shape::Dict, Action::Update) if removes(method) => Some(Effect::Resizes),
        (Shape::List | Shape::Deque, Action::Update | Action::Insert) if method != "sort" && method != "reverse" => {
            Some(if access.key == KeyId::WHOLE { Effect::Resizes } else { Effect::MayResize })
        }
        (Shape::Dict | Shape::Set, Action::Update) => Some(Effect::MayResize),
        (Shape::Dict | Shape::Set, Action::Replace) => Some(Effect::Resizes),
        (Shape::List | Shape::Deque, Action::Replace) => {
            Some(if method == "clear" { Effect::Resizes } else { Effect::MayResize })
        }
        _ => None,
    }
}

fn removes(method: &str) -> bool {
    matches!(method, "pop" | "popitem" | "popleft" | "remove" | "clear")
}

/// The method that is called at the access's instruction, if it is a call of one.
fn method(world: &World, record: &Record, stack: StackId) -> Option<&'static str> {
    let definitions = world.definitions(record.process)?;
    definitions.method_at(definitions.site_id(stack)?)
}

fn tell_possible(world: &World, verdict: &Verdict, findings: &mut Findings) {
    let (walker, changer) = (&verdict.walk.begun, &verdict.change.point);
    let (earlier, later) = if changer.time < walker.time { (changer, walker) } else { (&verdict.walk.asked, changer) };
    let ordered = world.seen_before(earlier.at.moment, later.strand);
    if !ordered && world.could_meet(walker.strand, changer.strand) {
        tell(world, verdict, findings);
    }
}

fn tell(world: &World, verdict: &Verdict, findings: &mut Findings) {
    let (process, object) = verdict.walk.object;
    let (walker, changer) = (&verdict.walk.begun, &verdict.change.point);
    let site = |stack: StackId| world.site_id(process, stack).map_or(u64::MAX, u64::from);
    let again = (Kind::MutationDuringIteration, (site(walker.stack) << 32) | site(changer.stack), object.0);
    let evidence = if verdict.observed { Evidence::Observed } else { Evidence::Possible };
    if findings.again(again, evidence) {
        return;
    }
    let is_users = |stack: StackId| world.site(process, stack).is_some_and(|site| site.origin == Origin::User);
    if !is_users(walker.stack) && !is_users(changer.stack) {
        return findings.hide(again, "library code");
    }
    findings.add_named(again, describe_verdict(world, verdict, evidence));
}

fn describe_verdict(world: &World, verdict: &Verdict, evidence: Evidence) -> Finding {
    let (process, object) = verdict.walk.object;
    let (walker, changer) = (&verdict.walk.begun, &verdict.change.point);
    let sites: Vec<_> = [walker.stack, changer.stack].iter().filter_map(|stack| world.site_id(process, *stack)).collect();
    let subject = naming::subject(world, process, object, KeyId::WHOLE, &sites);
    let shape = world.shape(process, object).unwrap_or(Shape::Other);
    let result = consequence(shape, verdict);
    let message = if verdict.own() {
        format!("the loop over {} changes it in its own body: {result}", subject.name)
    } else {
        format!(
            "{} changes {} while {} loops over it: {result}",
            who(world, changer.strand),
            subject.name,
            who(world, walker.strand)
        )
    };
    let accesses = vec![
        describe::access(
            world,
            Act { role: "iterate", what: "loops over it", strand: walker.strand, stack: walker.stack, held: walker.held() },
        ),
        describe::access(
            world,
            Act {
                role: "conflict",
                what: "changes its size",
                strand: changer.strand,
                stack: changer.stack,
                held: changer.held(),
            },
        ),
    ];
    let mut made = finding(
        world,
        process,
        Draft {
            kind: Kind::MutationDuringIteration,
            severity: severity(verdict),
            evidence,
            help: help(world, verdict, shape, &subject.name),
            subject,
            message,
            accesses,
            why: Some("the loop gives way to other strands between any two elements".to_owned()).filter(|_| !verdict.own()),
            observed: verdict
                .observed
                .then(|| format!("it changed after {} elements, and the loop went on", verdict.walk.steps.saturating_sub(1))),
        },
    );
    if verdict.observed {
        made.timeline = timeline(world, verdict);
    } else {
        let steps =
            [(0, walker.strand, "loops over it"), (1, changer.strand, "changes it"), (0, walker.strand, "goes on with the loop")];
        made.interleaving = interleaving::turns(world, &steps);
    }
    made
}

fn who(world: &World, strand: StrandId) -> String {
    describe::name(world, strand)
}

/// A list that grows at its end is walked to its new end: meant so in work lists, and in others at worst a surprise.
fn severity(verdict: &Verdict) -> Severity {
    let grows = verdict.change.effect == Effect::Appends;
    if grows && (verdict.own() || !verdict.observed) { Severity::Note } else { Severity::Error }
}

fn consequence(shape: Shape, verdict: &Verdict) -> &'static str {
    match (shape, verdict.change.effect) {
        (Shape::Dict, _) => "RuntimeError: dictionary changed size during iteration",
        (Shape::Set, _) => "RuntimeError: Set changed size during iteration",
        (Shape::Deque, _) => "RuntimeError: deque mutated during iteration",
        (_, Effect::Appends) if verdict.own() => "it meets the new elements too",
        (_, Effect::Appends) => "whether the loop meets the new elements depends on timing",
        _ => "elements are skipped or seen twice",
    }
}

fn help(world: &World, verdict: &Verdict, shape: Shape, name: &str) -> String {
    let copy = if shape == Shape::Dict { format!("list({name})") } else { format!("{name}.copy()") };
    if verdict.own() {
        return format!("loop over a copy, {copy}, or collect what is to change and change it after the loop");
    }
    let lock = [&verdict.walk.begun, &verdict.change.point].into_iter().flat_map(Point::held).find(|held| held.excludes);
    match lock {
        Some(lock) => format!(
            "hold {} on both sides for as long as the loop runs, or loop over a copy, {copy}, made under it",
            naming::lock(world, lock.lock)
        ),
        None => format!("loop over a copy, {copy}, or hold one lock around the loop and around every change"),
    }
}

fn timeline(world: &World, verdict: &Verdict) -> Vec<Moment> {
    let (walk, change) = (&verdict.walk, &verdict.change.point);
    let asked = Scene { access: None, ..Scene::of(&walk.asked, 0, "next element") };
    picture::timeline(world, &[Scene::of(&walk.begun, 0, "iterate"), Scene::of(change, 1, "change size"), asked])
}

#[cfg(test)]
mod tests;
