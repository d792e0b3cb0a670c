//! Plain accesses of two strands that nothing orders: a polled flag, `append` from several threads. Normal Python, so
//! only a note, one for each subject. Windows are judged elsewhere, and silence the note on their subject.

use rustc_hash::FxHashMap;
use std::collections::hash_map::Entry;

use super::Now;
use super::explain::{self, Pair};
use super::judge::same_value;
use super::shadow::{Past, Shadow};
use crate::analysis::Findings;
use crate::event::{Action, KeyId, Shape};
use crate::finding::{Evidence, Kind};

#[derive(Default)]
pub struct Notes {
    /// Fingerprint of the note by the subject's name.
    by_subject: FxHashMap<String, String>,
}

impl Notes {
    /// A check, or a read whose value goes somewhere, against others' writes.
    pub fn read(&mut self, now: &Now<'_>, shadow: &mut Shadow, past: Past, findings: &mut Findings) {
        let (object, key) = (now.access.object, now.access.key);
        let Some(part) = shadow.part(object, key).filter(|part| !part.noted && counts(now)) else { return };
        let other = part.writes.iter().rev().find(|other| unordered(now, shadow, other, &past));
        if let Some(other) = other.cloned() {
            self.note(now, shadow, &other, &past, findings);
        }
        let (strand, site) = (past.strand, past.site);
        shadow.part_mut(object, key).reads.put(strand, past, |other| other.site == site);
    }

    /// A write, against others' writes and reads. Storing what is there already changes nothing.
    pub fn write(&mut self, now: &Now<'_>, shadow: &mut Shadow, past: &Past, findings: &mut Findings) {
        let (object, key) = (now.access.object, now.access.key);
        let Some(part) = shadow.part(object, key) else { return };
        if part.noted || !counts(now) || part.value.is_some_and(|value| same_value(value, past.value)) {
            return;
        }
        let others = part.writes.iter().chain(part.reads.iter());
        let other = others.filter(|other| unordered(now, shadow, other, past)).max_by_key(|other| other.sequence);
        if let Some(other) = other.cloned() {
            self.note(now, shadow, &other, past, findings);
        }
    }

    fn note(&mut self, now: &Now<'_>, shadow: &mut Shadow, earlier: &Past, later: &Past, findings: &mut Findings) {
        let (object, key) = (now.access.object, now.access.key);
        shadow.part_mut(object, key).noted = true;
        let pair = Pair { world: now.world, process: now.process, object, key, earlier, later };
        let name = (Kind::UnorderedAccess, u64::from(earlier.site) << 32 | u64::from(later.site), u64::from(now.process.0));
        if findings.again(name, Evidence::Possible) {
            return;
        }
        if explain::outside_user_code(now.world, now.process, earlier, later) {
            return;
        }
        let finding = pair.finding();
        let subject = crate::analysis::naming::without_key(&finding.subject.name, &finding.subject.kind);
        if let Entry::Vacant(place) = self.by_subject.entry(subject) {
            place.insert(finding.fingerprint.clone());
            findings.add_named(name, finding);
        }
    }

    /// Where a window races on a subject, a note on the same subject says nothing more.
    pub fn withdraw_where_races_are(&mut self, findings: &mut Findings) {
        let races: Vec<String> = findings
            .iter()
            .filter(|finding| finding.kind != Kind::UnorderedAccess)
            .map(|finding| crate::analysis::naming::without_key(&finding.subject.name, &finding.subject.kind))
            .collect();
        for subject in races {
            if let Some(fingerprint) = self.by_subject.get(&subject) {
                findings.remove(fingerprint);
            }
        }
    }
}

/// Queues are made for it; a container as a whole is only meant where one call changes it.
fn counts(now: &Now<'_>) -> bool {
    let shape = now.world.shape(now.process, now.access.object);
    let looks_at_whole = now.access.key == KeyId::WHOLE && now.access.action == Action::Read && shape != Some(Shape::Cell);
    !looks_at_whole && !matches!(shape, Some(Shape::Queue | Shape::Lock | Shape::File))
}

fn unordered(now: &Now<'_>, shadow: &Shadow, earlier: &Past, later: &Past) -> bool {
    let world = now.world;
    let handed_over = || {
        shadow.object(now.access.object).is_some_and(|object| {
            object.creator == Some(earlier.strand)
                && object.touch_of(later.strand).is_some_and(|touch| touch.handed_over && earlier.sequence < touch.sequence)
        })
    };
    // The cheapest questions come first.
    earlier.strand != later.strand
        && (earlier.home.is_none() || earlier.home != later.home)
        && !common_lock(earlier, later)
        && !world.soft_before(earlier.moment, later.strand)
        && world.could_meet(earlier.strand, later.strand)
        && !handed_over()
}

fn common_lock(a: &Past, b: &Past) -> bool {
    a.locks.iter().any(|held| held.excludes && b.locks.iter().any(|other| other.lock == held.lock))
}
