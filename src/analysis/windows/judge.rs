//! Is a window and a conflicting access of another strand a race? The rules of order, mutual exclusion and harmlessness,
//! each as one function. It changes nothing and describes nothing.

use super::activation::{Closed, Which};
use super::shadow::{ObjectShadow, Past};
use crate::analysis::definitions::{Definitions, Site};
use crate::analysis::naming;
use crate::analysis::world::World;
use crate::event::{Action, KeyId, ObjectId, ProcessId, Shape, StackId, Value};
use crate::finding::Evidence;
use racetrace_probes::plan::{Shared, SwitchWhy, Window, WindowKind};

/// What is judged: where, and who else is there.
pub struct Case<'a> {
    pub world: &'a World,
    pub process: ProcessId,
    pub object: ObjectId,
    pub shadow: &'a ObjectShadow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    Race(Evidence),
    /// Both stored the same thing: worth a note.
    Idempotent(Evidence),
    None,
}

/// Which of the two happened last, and so speaks with its strand's present knowledge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Latest {
    Window,
    Access,
}

impl Case<'_> {
    pub fn judge(&self, window: &Closed, access: &Past, latest: Latest) -> Judgement {
        // The cheapest question, and nearly always the one that settles it, comes first.
        let own = window.write.strand == access.strand && !self.in_other_job(window, access, latest);
        if own || protected(window, access) || !self.conflicts(window, access) {
            return Judgement::None;
        }
        self.judge_conflict(window, access, latest)
    }

    /// The other strand makes the same check that this window began with, and finds what the window's act has left. Had
    /// it come a little earlier, both would have acted.
    pub fn judge_same_check(&self, window: &Closed, check: &Past) -> Judgement {
        if self.kind(window.which) != WindowKind::CheckThenAct || window.read.site != check.site {
            return Judgement::None;
        }
        self.judge_conflict(window, check, Latest::Access)
    }

    fn judge_conflict(&self, window: &Closed, access: &Past, latest: Latest) -> Judgement {
        let (mine, other) = (window.write.strand, access.strand);
        if mine == other {
            return self.judge_jobs(window, access, latest);
        }
        let inside = access.sequence > window.read.sequence && access.sequence < window.write.sequence;
        let ordered = if inside { deterministic(self.world, window, access) } else { self.ordered(window, access, latest) };
        let apart = ordered
            || protected(window, access)
            || !self.world.could_meet(window.write.strand, access.strand)
            || self.handed_over(window, access, inside)
            || self.one_loop_without_turn(window, access);
        if apart {
            return Judgement::None;
        }
        let evidence = if inside { Evidence::Observed } else { self.without_split(window, other) };
        self.race(window, access, evidence)
    }

    fn race(&self, window: &Closed, access: &Past, evidence: Evidence) -> Judgement {
        if self.idempotent(window, access, evidence) { Judgement::Idempotent(evidence) } else { Judgement::Race(evidence) }
    }

    /// Two pieces of work that one thread of a pool did: another time two threads do them at once.
    fn judge_jobs(&self, window: &Closed, access: &Past, latest: Latest) -> Judgement {
        if !self.in_other_job(window, access, latest) || protected(window, access) {
            return Judgement::None;
        }
        let evidence = self.without_split(window, access.strand);
        self.race(window, access, evidence)
    }

    /// Are they in different pieces of a pool's work, of which the later need not have known of the earlier, and is the
    /// subject one that does not belong to the thread (as what it keeps in a `threading.local` does)?
    fn in_other_job(&self, window: &Closed, access: &Past, latest: Latest) -> bool {
        let jobs = (window.write.job, access.job);
        if jobs.0 == 0 || jobs.1 == 0 || jobs.0 == jobs.1 || window.read.job != jobs.0 || window.write.strand != access.strand {
            return false;
        }
        let earlier = if latest == Latest::Window { access.moment } else { window.write.moment };
        let open = self.world.strand(access.strand).is_some_and(|strand| strand.jobs.leaves_open(earlier));
        open && [window.write.stack, access.stack].iter().any(|stack| self.is_everybodys(window.key, *stack))
    }

    /// A variable of a module or class, or what such a variable of a module holds itself.
    fn is_everybodys(&self, key: KeyId, stack: StackId) -> bool {
        let shape = self.world.shape(self.process, self.object);
        match shape {
            Some(Shape::Module | Shape::Class) => true,
            Some(Shape::Cell) => false,
            _ => naming::is_held_by_a_global(self.world, self.process, stack) && (key == KeyId::WHOLE || self.is_name(key)),
        }
    }

    /// A text that does not tell threads apart.
    fn is_name(&self, key: KeyId) -> bool {
        let label = self.definitions().and_then(|definitions| definitions.key(key)).unwrap_or_default();
        !label.is_empty() && !label.chars().any(|letter| letter.is_ascii_digit() || letter == ' ')
    }

    /// Equal texts and numbers need not be the same result, unless all got it from where they found it.
    fn is_shared_result(&self, value: Value, which: Which) -> bool {
        match (self.window(which).map(|window| window.shared).unwrap_or_default(), value) {
            (Shared::Found, _) => true,
            (Shared::Perhaps, Value::Object(_, type_name)) => {
                let plain = ["str", "bytes", "int", "float", "complex", "tuple", "frozenset"];
                !plain.contains(&self.world.text(self.process, type_name))
            }
            _ => false,
        }
    }

    pub fn kind(&self, which: Which) -> WindowKind {
        let kind = match which {
            Which::Window(..) => self.window(which).map(|window| window.kind),
            Which::Span(code, index) => self.definitions().and_then(|all| all.span(code, index)).map(|span| span.kind),
        };
        kind.unwrap_or(WindowKind::ReadModifyWrite)
    }

    /// What the plan says of a window within one function.
    fn window(&self, which: Which) -> Option<&Window> {
        let Which::Window(code, index) = which else { return None };
        self.definitions()?.window(code, index)
    }

    fn definitions(&self) -> Option<&Definitions> {
        self.world.definitions(self.process)
    }

    /// Whoever ends the wait does what is expected of it.
    fn waits(&self, which: Which) -> bool {
        self.window(which).is_some_and(|window| window.waits)
    }

    /// One is certainly over before the other begins.
    fn ordered(&self, window: &Closed, access: &Past, latest: Latest) -> bool {
        let (moment, now) = match latest {
            Latest::Window => (access.moment, window.write.strand),
            Latest::Access => (window.write.moment, access.strand),
        };
        if window.read.polls || self.world.gives_order(self.process, self.object, window.key) {
            self.world.hard_before(moment, now)
        } else {
            self.world.seen_before(moment, now)
        }
    }

    /// The object was made by one of them and given to the other at run time: what its maker did before is no race.
    fn handed_over(&self, window: &Closed, access: &Past, inside: bool) -> bool {
        let Some(maker) = self.shadow.creator else { return false };
        let before = |past: &Past, other| {
            past.strand == maker
                && self.shadow.touch_of(other).is_some_and(|touch| touch.handed_over && past.sequence < touch.sequence)
        };
        before(access, window.write.strand) || (!inside && before(&window.write, access.strand))
    }

    /// Both run on one event loop, and this window's strand did not give way inside.
    fn one_loop_without_turn(&self, window: &Closed, access: &Past) -> bool {
        !window.split && self.world.same_loop(window.write.strand, access.strand)
    }

    /// How sure a window is that was not seen split.
    fn without_split(&self, window: &Closed, other: crate::analysis::StrandId) -> Evidence {
        let same_loop = window.write.strand != other && self.world.same_loop(window.write.strand, other);
        if self.world.free_threaded(self.process) || window.split || same_loop {
            return Evidence::Possible;
        }
        if matches!(window.which, Which::Span(..)) {
            return Evidence::Possible;
        }
        match self.window(window.which).and_then(|window| window.switch.as_ref()) {
            Some(switch) if switch.why != SwitchWhy::Operator => Evidence::Possible,
            _ => Evidence::Latent,
        }
    }

    /// Can the access break what the window relies on? A check that lets something be taken away is not hurt by more
    /// being added, nor the other way round.
    fn conflicts(&self, window: &Closed, access: &Past) -> bool {
        if access.action == Action::Read || (self.waits(window.which) && access.site != window.write.site) {
            return false;
        }
        let container = self.world.shape(self.process, self.object).is_none_or(|shape| {
            matches!(shape, Shape::Dict | Shape::List | Shape::Set | Shape::Deque | Shape::Queue | Shape::Mapping)
        });
        if !container || self.kind(window.which) == WindowKind::ReadModifyWrite {
            return true;
        }
        let (act, other) = (self.effect(&window.write), self.effect(access));
        let whole = window.key == KeyId::WHOLE;
        let inside = access.sequence > window.read.sequence && access.sequence < window.write.sequence;
        if !whole && inside && access.action == Action::Delete {
            return true; // what was checked is not there any more, whatever the act makes of it
        }
        if whole && !other.grows && !other.shrinks {
            return false;
        }
        match (act.grows, act.shrinks) {
            (true, false) => other.grows || !other.shrinks,
            (false, true) => other.shrinks || !other.grows,
            _ => true,
        }
    }

    fn effect(&self, past: &Past) -> Effect {
        let site = self.definitions().and_then(|definitions| definitions.site(past.site));
        Effect::of(past.action, site)
    }

    /// Both store the same object, or the same plain constant, where nothing was there, and nothing is done in between
    /// that could be done twice: whoever comes second changes nothing. Not for flags, whose test and setting guard
    /// something else, nor for items of containers. But one result of one task, stored by all who waited for it, was made
    /// once: a single flight.
    fn idempotent(&self, window: &Closed, access: &Past, evidence: Evidence) -> bool {
        if self.kind(window.which) != WindowKind::CheckThenAct {
            return false;
        }
        let variable = self
            .world
            .shape(self.process, self.object)
            .is_some_and(|shape| matches!(shape, Shape::Module | Shape::Instance | Shape::Class | Shape::Cell));
        let same = same_value(window.write.value, access.value);
        if same && self.is_shared_result(access.value, window.which) {
            return true;
        }
        let flag = matches!(access.value, Value::Bool(_));
        variable && same && !flag && evidence == Evidence::Latent
    }
}

/// What an access does to the size of its container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effect {
    pub grows: bool,
    pub shrinks: bool,
}

impl Effect {
    pub fn of(action: Action, site: Option<&Site>) -> Effect {
        let (grows, shrinks) = match action {
            Action::Read | Action::Write => (false, false),
            Action::Insert => (true, false),
            Action::Delete => (false, true),
            Action::Replace => (true, true),
            Action::Update => match site {
                Some(site) if site.grows || site.shrinks => (site.grows, site.shrinks),
                _ => (true, true),
            },
        };
        Effect { grows, shrinks }
    }
}

/// One lock is held without a break over the window, and also by the other strand at its access.
fn protected(window: &Closed, access: &Past) -> bool {
    access.locks.iter().any(|held| held.excludes && window.locks.contains(&held.lock))
}

/// The strand of the window told the other to go on, and then waited for it: the split is how the program works.
fn deterministic(world: &World, window: &Closed, access: &Past) -> bool {
    let told = window.read.moment.chain == access.moment.chain
        || access.known.as_ref().is_some_and(|known| known.hard().includes(window.read.moment));
    told && world.hard_before(access.moment, window.write.strand)
}

pub fn same_value(a: Value, b: Value) -> bool {
    match (a, b) {
        (Value::Unknown, _) | (_, Value::Unknown) => false,
        (Value::Object(a, _), Value::Object(b, _)) => a == b,
        (a, b) => a == b,
    }
}
