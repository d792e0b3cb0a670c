//! Containers that changed their size while a loop walks them: the loop's iterator remembers the size it began with.

use super::describe::{access, is_users, name, place, sampled};
use super::{Findings, Seen};
use crate::analysis::describe::Draft;
use crate::analysis::naming;
use crate::event::KeyId;
use crate::event::sample::{OpenLoop, StrandState};
use crate::finding::{Evidence, Kind, Severity};

pub fn look(seen: &Seen<'_>, findings: &mut Findings) {
    for state in &seen.sample.strands {
        for open in &state.loops {
            if is_users(seen, open.stack) {
                tell(seen, state, open, findings);
            }
        }
    }
}

fn tell(seen: &Seen<'_>, state: &StrandState, open: &OpenLoop, findings: &mut Findings) {
    let sites: Vec<_> = seen.world.site_id(seen.process, open.next).into_iter().collect();
    let mut subject = naming::subject(seen.world, seen.process, open.object, KeyId::WHOLE, &sites);
    if let Some(label) = seen.world.object(seen.process, open.object).and_then(|object| object.label) {
        seen.world.text(seen.process, label).clone_into(&mut subject.name);
    }
    let observed = format!("the loop began with {} elements, now there are {}", open.began, open.now);
    findings.add(sampled(
        seen,
        Draft {
            kind: Kind::MutationDuringIteration,
            severity: Severity::Error,
            evidence: Evidence::Observed,
            message: format!(
                "{} changes its size while {} walks it at {}",
                subject.name,
                name(seen, state),
                place(seen, open.stack)
            ),
            why: Some("the loop's next step raises RuntimeError, or skips elements".to_owned()),
            observed: Some(observed),
            help: format!("walk a copy, `for … in list({})`, or hold one lock during the loop and at every change", subject.name),
            accesses: vec![
                access(seen, "iterate", "walks it", state, open.next),
                access(seen, "conflict", "stands here while it has changed", state, open.stack),
            ],
            subject,
        },
    ));
}
