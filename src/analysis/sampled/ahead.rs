//! Windows that can be split, though nobody was seen to split them: at one moment one strand was inside or on its way into
//! a window, and another on its way to the same subject, with nothing in front of either that could make it wait. Locks
//! that they hold need not be looked at: neither was waiting for one, nor had one to take before it got there.

use super::describe::{access, is_in_users_code, name, place};
use super::sightings::Sightings;
use super::windows::{Inside, Story, accesses, collect, describe, nature, subject, tell};
use super::{Findings, Seen, comes_between};
use crate::event::sample::{Ahead, Coming, OpenWindow, StrandState, SubjectValue};
use crate::event::{KeyId, ObjectId, StackId};
use crate::finding::{Evidence, Finding, Severity};

#[derive(Debug, Default)]
pub struct Comings {
    /// Of pairs of places.
    seen: Sightings<(StackId, StackId), 0x1_0000>,
}

/// Of strands at the same place a few are as good as hundreds.
const MOST_STRANDS: usize = 64;

/// A strand on its way to a subject.
struct On<'a> {
    state: &'a StrandState,
    stack: StackId,
    object: ObjectId,
    key: KeyId,
    /// The window that it comes to; none for a mere write.
    window: Option<Inside<'a>>,
    write: StackId,
    /// It has just come through the window.
    passed: bool,
}

impl Comings {
    pub fn look(&mut self, seen: &Seen<'_>, findings: &mut Findings) {
        let coming = comings(seen);
        if coming.is_empty() {
            return;
        }
        let inside = collect(seen);
        for one in inside.iter().take(MOST_STRANDS) {
            if let Some(other) = coming.iter().find(|other| comes_into(one, other)) {
                self.tell(seen, (one, Stands::Inside), other, findings);
            }
        }
        for (index, first) in coming.iter().enumerate() {
            let Some(one) = &first.window else { continue };
            let others = coming.iter().enumerate().filter(|(number, _)| *number != index);
            let other = others
                .map(|(_, other)| other)
                .find(|other| other.window.is_some() && comes_into(one, other) && first.state.barrier == other.state.barrier);
            if let Some(other) = other {
                let stands = if first.passed { Stands::Behind } else { Stands::Before };
                self.tell(seen, (one, stands), other, findings);
            }
        }
    }

    fn tell(&mut self, seen: &Seen<'_>, one: (&Inside<'_>, Stands), other: &On<'_>, findings: &mut Findings) {
        if self.seen.are_enough((one.0.open.write, other.write), seen.time) {
            let can_switch = one.0.nature.switches || other.window.as_ref().is_some_and(|other| other.nature.switches);
            let sure = sureness(one.1 == Stands::Inside || can_switch);
            tell(seen, one.0, other.write, sure.0.0, findings, || finding(seen, one, other, sure));
        }
    }
}

/// Where a strand is, seen from a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    Before,
    Inside,
    Behind,
}

fn comings<'a>(seen: &Seen<'a>) -> Vec<On<'a>> {
    let mut all = Vec::new();
    for state in seen.sample.strands.iter().filter(|state| !state.coming.is_empty()).take(MOST_STRANDS) {
        for coming in &state.coming {
            if !is_in_users_code(seen, coming.stack) {
                continue;
            }
            let (window, write) = match coming.what {
                Ahead::Write { write, .. } => (None, write),
                Ahead::Window { write, .. } => {
                    let Some(inside) = as_window(seen, state, coming) else { continue };
                    (Some(inside), write)
                }
            };
            all.push(On {
                state,
                stack: coming.stack,
                object: coming.object,
                key: coming.key,
                window,
                write,
                passed: coming.passed,
            });
        }
    }
    all
}

/// The window that a strand comes to, as if it were in it.
pub(super) fn as_window<'a>(seen: &Seen<'a>, state: &'a StrandState, coming: &Coming) -> Option<Inside<'a>> {
    let Ahead::Window { window: number, read, write } = coming.what else { return None };
    let (stack, object, key) = (coming.stack, coming.object, coming.key);
    let open = OpenWindow { stack, read, write, window: number, object, key, subject: SubjectValue::Unknown };
    Some(Inside { state, open, nature: nature(seen, &open)? })
}

/// Can the other strand get to the subject while this one is inside its window? Not from a barrier that may wait for it.
fn comes_into(one: &Inside<'_>, other: &On<'_>) -> bool {
    let same = one.open.object == other.object && one.open.key == other.key;
    let is_held_up = other.state.barrier.is_some() && other.state.barrier != one.state.barrier;
    same && !is_held_up && comes_between(one.state, other.state, one.nature.suspends)
}

fn finding(
    seen: &Seen<'_>,
    (one, stands): (&Inside<'_>, Stands),
    other: &On<'_>,
    (sure, why): ((Evidence, Severity), &str),
) -> Finding {
    let subject = subject(seen, &one.open);
    let where_one = match stands {
        Stands::Before => "is on its way to it from",
        Stands::Inside => "stands inside its window at",
        Stands::Behind => "has just come through it to",
    };
    let where_other = if other.passed { "had just done" } else { "was on its way to" };
    let barrier = one.state.barrier.is_some() && other.state.barrier.is_some();
    let between = if barrier { "a barrier to let them go at once" } else { "no lock to take in between" };
    let observed = format!(
        "at one moment {} {where_one} {}, and {} at {} {where_other} {}, with {between}",
        name(seen, one.state),
        place(seen, one.open.stack),
        name(seen, other.state),
        place(seen, other.stack),
        place(seen, other.write),
    );
    let (read, write) = accesses(seen, one);
    let does = if other.window.is_some() { "reads and stores it too" } else { "changes it" };
    let conflict = access(seen, "conflict", does, other.state, other.write);
    let accesses = vec![read, write, conflict];
    describe(seen, one, Story { subject, observed, why: why.to_owned(), accesses, conflict: other.write, sure })
}

/// How sure a race is that was not seen to happen.
pub(super) fn sureness(can_switch: bool) -> ((Evidence, Severity), &'static str) {
    if can_switch {
        let why = "nothing keeps the other strand from changing it between the read and the write";
        ((Evidence::Possible, Severity::Error), why)
    } else {
        let why = "this interpreter does not switch threads inside; a free-threaded build does";
        ((Evidence::Latent, Severity::Warning), why)
    }
}
