//! Where races are put: a window and an access that nothing keeps apart are judged, described once, and counted. It does
//! not remember accesses.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::activation::{Closed, Which};
use super::explain::Race;
use super::judge::{Case, Judgement, Latest};
use super::shadow::{Part, Past, Shadow};
use super::{Now, is_sequence, kind_of};
use crate::analysis::Findings;
use crate::analysis::describe::kind_of_window;
use crate::analysis::findings::Again;
use crate::event::{Access, Action, KeyId, ProcessId};
use crate::finding::{Evidence, Kind};

/// Where races are put: judged, described once, counted.
pub struct Found<'a, 'b> {
    pub now: &'a Now<'a>,
    pub keys: &'a mut FxHashMap<Again, KeyId>,
    pub findings: &'b mut Findings,
    /// Races that this access has brought up already: it counts once for each.
    pub told: SmallVec<[(Again, Evidence); 4]>,
}

impl Found<'_, '_> {
    /// The windows that close now, against what others wrote before.
    pub fn windows_against_writes(&mut self, shadow: &Shadow, closed: &[Closed]) {
        let object = self.now.access.object;
        let Some(case) = case(self.now, shadow).filter(|_| !closed.is_empty()) else { return };
        for window in closed {
            let Some(part) = shadow.part(object, window.key) else { continue };
            let whole = (window.key != KeyId::WHOLE).then(|| shadow.part(object, KeyId::WHOLE)).flatten();
            let replaced = whole.into_iter().flat_map(|whole| whole.writes.iter()).filter(|past| past.action == Action::Replace);
            let mut seen_split = false;
            for write in part.writes.iter().chain(replaced) {
                let evidence = self.judge(&case, window, write, Latest::Window, part.writes_total);
                seen_split |= evidence == Some(Evidence::Observed);
            }
            if matches!(window.which, Which::Span(..)) && !seen_split {
                self.same_span(&case, window, part);
            }
        }
    }

    /// Two strands go through one span, in either order.
    fn same_span(&mut self, case: &Case<'_>, window: &Closed, part: &Part) {
        let others: Vec<&Closed> = part.windows.iter().filter(|other| other.which == window.which).collect();
        for other in others {
            self.judge_span(case, window, &other.write, part.writes_total);
        }
    }

    /// This write, against windows that others have closed before.
    pub fn write_against_windows(&mut self, shadow: &Shadow, past: &Past, key: KeyId) {
        let Some(part) = shadow.part(self.now.access.object, key) else { return };
        let Some(case) = case(self.now, shadow) else { return };
        for window in part.windows.iter().filter(|window| matches!(window.which, Which::Window(..))) {
            self.judge(&case, window, past, Latest::Access, part.writes_total);
        }
    }

    /// This check, against windows of others that began with the same check. Who looks for an element in a sequence, and
    /// puts it there, does so to the sequence as a whole.
    pub fn check_against_windows(&mut self, shadow: &Shadow, past: &Past) {
        let Access { object, key, .. } = *self.now.access;
        let Some(case) = case(self.now, shadow) else { return };
        let whole = if key != KeyId::WHOLE && is_sequence(self.now) { shadow.part(object, KeyId::WHOLE) } else { None };
        for part in shadow.part(object, key).into_iter().chain(whole) {
            let same = |window: &&Closed| matches!(window.which, Which::Window(..)) && window.looked_for == key;
            for window in part.windows.iter().filter(same) {
                let judgement = case.judge_same_check(window, past);
                self.tell(window, past, judgement, part.writes_total);
            }
        }
    }

    fn judge(&mut self, case: &Case<'_>, window: &Closed, access: &Past, latest: Latest, writes: u64) -> Option<Evidence> {
        let judgement = case.judge(window, access, latest);
        let unseen_span = matches!(window.which, Which::Span(..)) && !is_observed(judgement);
        if unseen_span { None } else { self.tell(window, access, judgement, writes) }
    }

    fn judge_span(&mut self, case: &Case<'_>, window: &Closed, access: &Past, writes: u64) {
        let judgement = case.judge(window, access, Latest::Window);
        self.tell(window, access, judgement, writes);
    }

    fn tell(&mut self, window: &Closed, access: &Past, judgement: Judgement, writes: u64) -> Option<Evidence> {
        let (evidence, idempotent) = match judgement {
            Judgement::Race(evidence) => (evidence, false),
            Judgement::Idempotent(evidence) => (evidence, true),
            Judgement::None => return None,
        };
        let kind = kind_of(self.now, window.which).map_or(Kind::ReadModifyWrite, kind_of_window);
        let name = again(self.now.process, kind, window, access);
        if self.told.iter().any(|(told, as_sure)| *told == name && *as_sure >= evidence) {
            return Some(evidence);
        }
        self.told.push((name, evidence));
        let Access { object, key, .. } = *self.now.access;
        let key = if window.key == KeyId::WHOLE { KeyId::WHOLE } else { key };
        let first = *self.keys.entry(name).or_insert(key);
        let several = first != key && first != SEVERAL;
        if !several && self.findings.again(name, evidence) {
            return Some(evidence);
        }
        if several {
            self.keys.insert(name, SEVERAL);
        }
        let race = Race {
            world: self.now.world,
            process: self.now.process,
            object,
            key,
            kind,
            window,
            access,
            evidence,
            idempotent,
            others: writes.saturating_sub(window.writes_before),
        };
        if race.outside_user_code() {
            self.findings.hide(name, "library code");
        } else {
            self.findings.add_named(name, race.finding());
        }
        Some(evidence)
    }
}

fn case<'s>(now: &'s Now<'_>, shadow: &'s Shadow) -> Option<Case<'s>> {
    let object = now.access.object;
    Some(Case { world: now.world, process: now.process, object, shadow: shadow.object(object)? })
}

const SEVERAL: KeyId = KeyId(u64::MAX);

fn is_observed(judgement: Judgement) -> bool {
    matches!(judgement, Judgement::Race(Evidence::Observed) | Judgement::Idempotent(Evidence::Observed))
}

/// The cheap name of a race: its sites. A check that came too late to act stands for its act.
fn again(process: ProcessId, kind: Kind, window: &Closed, access: &Past) -> Again {
    let sites = u64::from(window.write.site) << 32 | u64::from(window.site_of(access));
    (kind, sites, u64::from(process.0) << 32 | u64::from(window.read.site))
}
