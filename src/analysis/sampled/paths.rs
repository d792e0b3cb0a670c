//! Paths that a strand has asked about and will act on, while another one, seen at the same moment, will undo what it found:
//! either has asked too, so that no lock kept them apart, or has nothing in front of its act that could make it wait.

use std::collections::HashMap;

use super::describe::{access, is_in_users_code, name, place, sampled};
use super::sightings::Sightings;
use super::{Findings, Seen, comes_between};
use crate::analysis::describe::Draft;
use crate::analysis::paths::{acts, help, undoes};
use crate::analysis::{naming, source};
use crate::event::StackId;
use crate::event::sample::{PathAct, StrandState};
use crate::finding::{Evidence, Finding, Kind, Severity, Subject};

#[derive(Debug, Default)]
pub struct Paths {
    /// Of pairs of acts.
    seen: Sightings<(StackId, StackId)>,
    /// Answers of [`source::copes`] by check and act.
    copes: HashMap<(StackId, StackId), bool>,
}

const MOST_PAIRS: usize = 1 << 14;
/// Of strands at the same place a few are as good as hundreds.
const MOST_ACTS: usize = 64;

/// A strand that will act on a path.
#[derive(Clone, Copy)]
struct On<'a> {
    state: &'a StrandState,
    act: PathAct,
}

impl Paths {
    pub fn look(&mut self, seen: &Seen<'_>, findings: &mut Findings) {
        let strands = seen.sample.strands.iter();
        let acts = strands.flat_map(|state| state.paths.iter().map(move |act| On { state, act: *act }));
        let acts: Vec<On<'_>> = acts.filter(|on| is_in_users_code(seen, on.act.stack)).take(MOST_ACTS).collect();
        for one in &acts {
            let Some(check) = one.act.check else { continue };
            let Some(other) = acts.iter().find(|other| can_undo(one, other)) else { continue };
            if !self.copes_with(seen, check, one.act.act) {
                self.tell(seen, one, check, other, findings);
            }
        }
    }

    fn tell(&mut self, seen: &Seen<'_>, one: &On<'_>, check: StackId, other: &On<'_>, findings: &mut Findings) {
        if self.seen.are_enough((one.act.act, other.act.act), seen.time) {
            findings.add(finding(seen, one, check, other));
        }
    }

    /// An `except` clause around the act alone: the check is only a shortcut.
    fn copes_with(&mut self, seen: &Seen<'_>, check: StackId, act: StackId) -> bool {
        if self.copes.len() >= MOST_PAIRS {
            self.copes.clear();
        }
        let answer = || {
            let definitions = seen.world.definitions(seen.process)?;
            let (asked, used) = (definitions.site_of(check)?, definitions.site_of(act)?);
            let code = &definitions.code(used.code)?.info.code;
            Some(source::copes(code, definitions.version(), asked.offset, used.offset))
        };
        *self.copes.entry((check, act)).or_insert_with(|| answer().unwrap_or(true))
    }
}

/// Will the other strand undo what this one has found, with nothing between them?
fn can_undo(one: &On<'_>, other: &On<'_>) -> bool {
    one.act.path == other.act.path && comes_between(one.state, other.state, true) && undoes(other.act.effect, one.act.effect)
}

fn finding(seen: &Seen<'_>, one: &On<'_>, check: StackId, other: &On<'_>) -> Finding {
    let path = naming::base(seen.world.text(seen.process, one.act.path)).to_owned();
    let (does, did) = (acts(one.act.effect), acts(other.act.effect));
    let (who, by) = (name(seen, one.state), name(seen, other.state));
    let observed = format!(
        "at one moment {who} was at {}, behind its check, and {by} at {}, on its way to {}",
        place(seen, one.act.stack),
        place(seen, other.act.stack),
        place(seen, other.act.act)
    );
    let draft = Draft {
        kind: Kind::FileCheckThenUse,
        severity: Severity::Warning,
        evidence: Evidence::Possible,
        subject: Subject { kind: "file".to_owned(), name: path.clone() },
        message: format!(
            "{who} checks {path} and then {does} it, and nothing keeps {by}, which {did} it, from doing so in between"
        ),
        accesses: vec![
            access(seen, "check", "asks about the path", one.state, check),
            access(seen, "act", &format!("{does} it"), one.state, one.act.act),
            access(seen, "conflict", &format!("{did} it"), other.state, other.act.act),
        ],
        why: Some("the file system can change between two calls, whoever asked first".to_owned()),
        observed: Some(observed),
        help: help(one.act.effect).to_owned(),
    };
    sampled(seen, draft)
}
