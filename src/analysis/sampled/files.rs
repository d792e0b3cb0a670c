//! Files that two strands write to at once: each has written the first piece of a record and will go on with it, so that
//! their pieces lie one between the other's; or each has a handle of its own and will overwrite what the other writes.

use super::describe::{access, is_in_users_code, name, place, sampled};
use super::sightings::Sightings;
use super::{Findings, Seen, Who};
use crate::analysis::describe::Draft;
use crate::analysis::naming;
use crate::event::StackId;
use crate::event::sample::{StrandState, Writing};
use crate::finding::{Evidence, Finding, Kind, Severity, Subject};

#[derive(Debug, Default)]
pub struct Files {
    /// Of pairs of writes.
    seen: Sightings<(StackId, StackId)>,
}

/// Of strands at the same place a few are as good as hundreds.
const MOST_WRITINGS: usize = 64;

/// A strand that will write to a file.
#[derive(Clone, Copy)]
struct On<'a> {
    state: &'a StrandState,
    writing: Writing,
}

impl Files {
    pub fn look(&mut self, seen: &Seen<'_>, findings: &mut Findings) {
        let strands = seen.sample.strands.iter();
        let all = strands.flat_map(|state| state.writings.iter().map(move |writing| On { state, writing: *writing }));
        let all: Vec<On<'_>> = all.filter(|on| is_in_users_code(seen, on.writing.stack)).take(MOST_WRITINGS).collect();
        for (index, one) in all.iter().enumerate() {
            let others = || all.iter().skip(index + 1).filter(|other| Who::of(one.state) != Who::of(other.state));
            if let Some(other) = others().find(|other| splits(one, other)) {
                self.tell(seen, one, other, split, findings);
            }
            if let Some(other) = others().find(|other| overwrites(one, other)) {
                self.tell(seen, one, other, overwritten, findings);
            }
        }
    }

    fn tell(
        &mut self,
        seen: &Seen<'_>,
        one: &On<'_>,
        other: &On<'_>,
        finding: fn(&Seen<'_>, &On<'_>, &On<'_>) -> Finding,
        findings: &mut Findings,
    ) {
        if self.seen.are_enough((one.writing.write, other.writing.write), seen.time) {
            findings.add(finding(seen, one, other));
        }
    }
}

/// Both have begun a record in one file object, and neither has ended it.
fn splits(one: &On<'_>, other: &On<'_>) -> bool {
    one.writing.first.is_some() && other.writing.first.is_some() && one.writing.file == other.writing.file
}

/// Each writes to one file from a place of its own.
fn overwrites(one: &On<'_>, other: &On<'_>) -> bool {
    one.writing.inode.is_some() && one.writing.inode == other.writing.inode && one.writing.file != other.writing.file
}

fn split(seen: &Seen<'_>, one: &On<'_>, other: &On<'_>) -> Finding {
    let file = file(seen, one);
    let (who, by) = (name(seen, one.state), name(seen, other.state));
    let mut accesses: Vec<_> =
        one.writing.first.map(|first| access(seen, "write", "writes the first piece", one.state, first)).into_iter().collect();
    accesses.push(access(seen, "act", "will write the next piece", one.state, one.writing.write));
    accesses
        .extend(other.writing.first.map(|first| access(seen, "conflict", "has begun a record of its own", other.state, first)));
    let draft = Draft {
        kind: Kind::InterleavedWrite,
        severity: Severity::Error,
        evidence: Evidence::Observed,
        message: format!("{who} writes a record to {file} in several writes, and {by} writes in between"),
        accesses,
        why: Some(
            "both have begun a record, and neither has ended it: the pieces of one lie between those of the other".to_owned(),
        ),
        observed: Some(sight(seen, one, other)),
        help: format!("write each record to {file} by one call, or hold one lock around all writes of a record"),
        subject: Subject { kind: "file".to_owned(), name: file },
    };
    sampled(seen, draft)
}

fn overwritten(seen: &Seen<'_>, one: &On<'_>, other: &On<'_>) -> Finding {
    let file = file(seen, one);
    let (who, by) = (name(seen, one.state), name(seen, other.state));
    let draft = Draft {
        kind: Kind::InterleavedWrite,
        severity: Severity::Error,
        evidence: Evidence::Possible,
        message: format!("{who} and {by} write to {file} through handles of their own, and overwrite each other"),
        accesses: vec![
            access(seen, "write", "writes from its own place in the file", one.state, one.writing.write),
            access(seen, "conflict", "writes from its own place in the file", other.state, other.writing.write),
        ],
        why: Some("both opened the file for writing, neither at its end: each begins where the other began".to_owned()),
        observed: Some(sight(seen, one, other)),
        help: format!("open {file} once and share the handle below a lock, or open it with mode \"a\" and write whole records"),
        subject: Subject { kind: "file".to_owned(), name: file },
    };
    sampled(seen, draft)
}

fn sight(seen: &Seen<'_>, one: &On<'_>, other: &On<'_>) -> String {
    let (here, there) = (place(seen, one.writing.stack), place(seen, other.writing.stack));
    format!("at one moment {} was at {here} and {} at {there}", name(seen, one.state), name(seen, other.state))
}

fn file(seen: &Seen<'_>, on: &On<'_>) -> String {
    naming::base(seen.world.text(seen.process, on.writing.name)).to_owned()
}
