//! Containers that changed their size while a loop walks them: the loop's iterator remembers the size it began with. And
//! those that another strand is about to change.

use super::describe::{access, is_users, name, place, sampled};
use super::{Findings, Seen, comes_between};
use crate::analysis::describe::Draft;
use crate::analysis::naming;
use crate::event::sample::{Ahead, OpenLoop, StrandState};
use crate::event::{KeyId, StackId};
use crate::finding::{Evidence, Finding, Kind, Severity, Subject};

pub fn look(seen: &Seen<'_>, findings: &mut Findings) {
    for state in &seen.sample.strands {
        for open in state.loops.iter().filter(|open| is_users(seen, open.stack)) {
            if open.began != open.now {
                findings.add(changed(seen, state, open));
            } else if let Some((other, write)) = comes(seen, state, open) {
                findings.add(about_to_change(seen, state, open, other, write));
            }
        }
    }
}

/// A strand that is about to change the container, with nothing to wait for before it does.
fn comes<'a>(seen: &Seen<'a>, state: &StrandState, open: &OpenLoop) -> Option<(&'a StrandState, StackId)> {
    let others = seen.sample.strands.iter().filter(|other| comes_between(state, other, true));
    others.flat_map(|other| other.coming.iter().map(move |coming| (other, coming))).find_map(|(other, coming)| {
        match coming.what {
            Ahead::Write { write, resizes: true } if coming.object == open.object && is_users(seen, coming.stack) => {
                Some((other, write))
            }
            _ => None,
        }
    })
}

fn subject(seen: &Seen<'_>, open: &OpenLoop) -> Subject {
    let sites: Vec<_> = seen.world.site_id(seen.process, open.next).into_iter().collect();
    let mut subject = naming::subject(seen.world, seen.process, open.object, KeyId::WHOLE, &sites);
    if let Some(label) = seen.world.object(seen.process, open.object).and_then(|object| object.label) {
        seen.world.text(seen.process, label).clone_into(&mut subject.name);
    }
    subject
}

fn changed(seen: &Seen<'_>, state: &StrandState, open: &OpenLoop) -> Finding {
    let subject = subject(seen, open);
    let draft = Draft {
        kind: Kind::MutationDuringIteration,
        severity: Severity::Error,
        evidence: Evidence::Observed,
        message: format!("{} changes its size while {} walks it at {}", subject.name, name(seen, state), place(seen, open.stack)),
        why: Some(WHY.to_owned()),
        observed: Some(format!("the loop began with {} elements, now there are {}", open.began, open.now)),
        help: help(&subject),
        accesses: vec![
            access(seen, "iterate", "walks it", state, open.next),
            access(seen, "conflict", "stands here while it has changed", state, open.stack),
        ],
        subject,
    };
    sampled(seen, draft)
}

fn about_to_change(seen: &Seen<'_>, state: &StrandState, open: &OpenLoop, other: &StrandState, write: StackId) -> Finding {
    let subject = subject(seen, open);
    let observed = format!(
        "at one moment {} stood in the loop at {}, and {} was on its way to {}, with no lock to take in between",
        name(seen, state),
        place(seen, open.stack),
        name(seen, other),
        place(seen, write)
    );
    let draft = Draft {
        kind: Kind::MutationDuringIteration,
        severity: Severity::Error,
        evidence: Evidence::Possible,
        message: format!("{} can change while {} walks it at {}", subject.name, name(seen, state), place(seen, open.stack)),
        why: Some(WHY.to_owned()),
        observed: Some(observed),
        help: help(&subject),
        accesses: vec![
            access(seen, "iterate", "walks it", state, open.next),
            access(seen, "conflict", "adds or removes elements", other, write),
        ],
        subject,
    };
    sampled(seen, draft)
}

const WHY: &str = "the loop's next step raises RuntimeError, or skips elements";

fn help(subject: &Subject) -> String {
    format!("walk a copy, `for … in list({})`, or hold one lock during the loop and at every change", subject.name)
}
