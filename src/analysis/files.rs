//! `interleaved-write`, and `unordered-access` to files: events come in, findings go out. What is split from what is
//! decided in [`super::ledger`]; paths that are checked and then used are [`super::paths`]'.

use std::collections::BTreeMap;

use rustc_hash::{FxHashMap, FxHashSet};

use super::Detector;
use super::definitions::SiteId;
use super::describe::{self, Act, Draft, finding};
use super::findings::Findings;
use super::interleaving;
use super::ledger::{Handle, HandleId, Ledger, Open, Verdict, Write};
use super::naming;
use super::options::Origin;
use super::picture::{self, Scene};
use super::point::{Point, can_meet};
use super::record::{Entry, Record as Parts};
use super::source;
use super::world::World;
use crate::event::{Event, FrameId, OpenMode, PathEffect, ProcessId, Record, StackId};
use crate::finding::{AccessReport, Evidence, Finding, Kind, Severity, Subject};

#[derive(Debug, Default)]
pub struct Files {
    ledger: Ledger,
    /// Sites that write several arguments one by one.
    in_parts: FxHashMap<(ProcessId, SiteId), bool>,
    /// Files with records that are split, by inode, and notes on the others.
    split: FxHashSet<u64>,
    notes: BTreeMap<(u64, ProcessId), Finding>,
}

impl Detector for Files {
    fn record(&mut self, world: &World, record: &Record, findings: &mut Findings) {
        match &record.event {
            Event::FileOpen { file, path, inode, fd, mode: OpenMode::Found, .. } => {
                let path = world.text(record.process, *path).to_owned();
                self.ledger.find(record.process, *file, (*fd, *inode), path);
            }
            Event::FileOpen { file, path, inode, fd, mode, stack } if *mode != OpenMode::Read => {
                let Some(point) = Point::of(world, record, *stack) else { return };
                let path = Some(world.text(record.process, *path)).filter(|path| !path.is_empty()).map(str::to_owned);
                self.ledger.open(Open { process: record.process, file: *file, fd: *fd, inode: *inode, path, mode: *mode, point });
            }
            Event::FileWrite { file, inode, fd, length, level, append, ends_line, stack, frame } => {
                let Some(entry) = self.entry(world, record, (*stack, *frame), *length, *ends_line) else { return };
                let (process, length) = (record.process, *length);
                let write = Write { process, file: *file, fd: *fd, inode: *inode, level: *level, length, append: *append, entry };
                for verdict in self.ledger.write(write) {
                    self.tell(world, record.process, &verdict, findings);
                }
            }
            Event::FileClose { file } => self.ledger.close(record.process, *file),
            Event::PathUse { path, effect: PathEffect::Remove | PathEffect::Rename, .. } => {
                self.ledger.renamed(world.text(record.process, *path));
            }
            Event::ThreadEnd => {
                if let Some(strand) = world.thread(record.process, record.thread) {
                    self.ledger.strand_ends(strand);
                }
            }
            Event::TaskEnd { task } => {
                if let Some(strand) = world.task(record.process, *task) {
                    self.ledger.strand_ends(strand);
                }
            }
            Event::ProcessEnd { .. } => self.ledger.process_ends(record.process),
            Event::Gap { .. } | Event::Settled => self.ledger.forget_process(record.process),
            _ => {}
        }
    }

    /// A note only where there is nothing worse to say of the file.
    fn report(&mut self, _world: &World, findings: &mut Findings) {
        for ((inode, process), note) in &self.notes {
            let again = (Kind::UnorderedAccess, *inode, u64::from(process.0));
            if !self.split.contains(inode) && !findings.again(again, note.evidence) {
                findings.add_named(again, note.clone());
            }
        }
    }
}

impl Files {
    fn entry(
        &mut self,
        world: &World,
        record: &Record,
        (stack, frame): (StackId, FrameId),
        length: u64,
        ends_line: bool,
    ) -> Option<Entry> {
        let point = Point::of(world, record, stack)?;
        let site = world.site_id(record.process, stack);
        let by_user = world.site(record.process, stack).is_some_and(|site| site.origin == Origin::User);
        let in_parts = site.is_some_and(|site| {
            *self.in_parts.entry((record.process, site)).or_insert_with(|| writes_in_parts(world, record.process, site))
        });
        Some(Entry { point, frame, by_user, in_parts, length, ends_line })
    }

    fn tell(&mut self, world: &World, process: ProcessId, verdict: &Verdict, findings: &mut Findings) {
        match verdict {
            Verdict::Split { handle, record, conflict, observed } => {
                if record.is_single_call() {
                    self.note_unordered(world, process, *handle, &record.last, conflict);
                } else {
                    self.tell_split(world, *handle, record, conflict, *observed, findings);
                }
            }
            Verdict::Torn { handle, other, before, conflict, after } => {
                self.tell_torn(world, (*handle, *other), before, conflict, after.as_ref(), findings);
            }
            Verdict::Overwritten { handle, other, observed } => {
                self.tell_overwritten(world, *handle, *other, *observed, findings);
            }
            Verdict::Unordered { handle, first, second } => self.note_unordered(world, process, *handle, first, second),
        }
    }

    fn tell_split(
        &mut self,
        world: &World,
        handle: HandleId,
        record: &Parts,
        conflict: &Point,
        observed: bool,
        findings: &mut Findings,
    ) {
        let Some(handle) = self.ledger.handle(handle) else { return };
        if !can_meet(world, &record.last, conflict, observed) {
            return;
        }
        let latent = record.is_one_call() && !world.free_threaded(handle.process);
        let evidence = match (observed, latent) {
            (true, _) => Evidence::Observed,
            (false, true) => Evidence::Latent,
            (false, false) => Evidence::Possible,
        };
        let severity = match evidence {
            _ if handle.is_standard() => Severity::Note,
            Evidence::Latent => Severity::Warning,
            _ => Severity::Error,
        };
        let again = again(world, Kind::InterleavedWrite, handle, &record.first, conflict);
        if findings.again(again, evidence) {
            return;
        }
        if !touches_user(world, &record.first) && !touches_user(world, conflict) {
            return findings.hide(again, "library code");
        }
        let subject = self.subject(handle);
        let mut accesses = vec![write_access(world, "write", "writes the first part of a record", &record.first)];
        if record.last.stack != record.first.stack {
            accesses.push(write_access(world, "write", "writes the rest of it", &record.last));
        }
        accesses.push(write_access(world, "conflict", "writes to the same file", conflict));
        let [who, other] = describe::names(world, [record.first.strand, conflict.strand]);
        let mut made = finding(
            world,
            handle.process,
            Draft {
                kind: Kind::InterleavedWrite,
                severity,
                evidence,
                message: format!(
                    "{who} writes a record to {} in {} writes, and {other} writes in between",
                    subject.name,
                    record.writes(),
                ),
                accesses,
                why: why(world, handle.process, record, latent),
                observed: observed.then(|| "another's bytes landed inside a record".to_owned()),
                help: help(world, &subject.name, &[&record.first, conflict]),
                subject,
            },
        );
        if !observed {
            let mine = record.first.strand;
            let steps = [
                (0, mine, "writes a part of its record"),
                (made.accesses.len().saturating_sub(1), conflict.strand, "writes in between"),
                (0, mine, "writes the rest"),
            ];
            made.interleaving = interleaving::turns(world, &steps);
        } else {
            let at_end = if record.last.stack == record.first.stack { 0 } else { 1 };
            let steps = [(&record.first, 0), (conflict, at_end + 1), (&record.last, at_end)];
            made.timeline = picture::timeline(world, &steps.map(|(point, access)| Scene::of(point, access, "write")));
        }
        self.split.insert(handle.inode);
        findings.add_named(again, made);
    }

    fn tell_torn(
        &mut self,
        world: &World,
        (handle, other): (HandleId, HandleId),
        before: &Point,
        conflict: &Point,
        after: Option<&Point>,
        findings: &mut Findings,
    ) {
        let (Some(mine), Some(theirs)) = (self.ledger.handle(handle), self.ledger.handle(other)) else { return };
        let observed = after.is_some();
        let elsewhere = mine.process != theirs.process && !world.could_meet(before.strand, conflict.strand);
        if elsewhere || !can_meet(world, before, conflict, observed) {
            return;
        }
        let evidence = if observed { Evidence::Observed } else { Evidence::Possible };
        let again = again(world, Kind::InterleavedWrite, mine, before, conflict);
        if findings.again(again, evidence) {
            return;
        }
        if !touches_user(world, before) && !touches_user(world, conflict) {
            return findings.hide(again, "library code");
        }
        let subject = self.subject(mine);
        let mut accesses: Vec<AccessReport> = opened(world, mine).into_iter().collect();
        accesses.push(write_access(world, "write", "writes: its bytes reach the file in several parts", before));
        accesses.extend(opened(world, theirs));
        accesses.push(write_access(world, "conflict", "writes to the same file through another handle", conflict));
        let [who, other] = describe::names(world, [before.strand, conflict.strand]);
        let draft = Draft {
            kind: Kind::InterleavedWrite,
            severity: if mine.is_standard() || theirs.is_standard() { Severity::Note } else { Severity::Error },
            evidence,
            message: format!(
                "a record of {who} reaches {} in several parts, and what {other} writes through another handle lands in between",
                subject.name,
            ),
            accesses,
            why: Some(
                "a buffer goes out in blocks wherever a record happens to end; only one write(2) a record stays whole".to_owned(),
            ),
            observed: observed.then(|| "another's bytes landed inside a record".to_owned()),
            help: format!(
                "write each record to {} with one call and flush it (buffering=1 with whole lines), or lock the file (fcntl.flock) around the record and its flush",
                subject.name
            ),
            subject,
        };
        let mut made = finding(world, mine.process, draft);
        if let Some(after) = after {
            let steps = [(before, "write"), (conflict, "conflict"), (after, "write")];
            made.timeline = picture::timeline(world, &steps.map(|(point, role)| scene(&made, point, role)));
        }
        self.split.insert(mine.inode);
        findings.add_named(again, made);
    }

    fn tell_overwritten(&mut self, world: &World, handle: HandleId, other: HandleId, observed: bool, findings: &mut Findings) {
        let (Some(mine), Some(theirs)) = (self.ledger.handle(handle), self.ledger.handle(other)) else { return };
        let (Some(now), Some(conflict)) = (mine.last_write(), theirs.last_write()) else { return };
        if !can_meet(world, conflict, now, observed) {
            return;
        }
        let evidence = if observed { Evidence::Observed } else { Evidence::Possible };
        let again = again(world, Kind::InterleavedWrite, mine, conflict, now);
        if findings.again(again, evidence) {
            return;
        }
        if !touches_user(world, now) && !touches_user(world, conflict) {
            return findings.hide(again, "library code");
        }
        let subject = self.subject(mine);
        let mut accesses: Vec<AccessReport> = opened(world, mine).into_iter().collect();
        accesses.push(write_access(world, "write", "writes at the position of its own handle", now));
        accesses.extend(opened(world, theirs));
        accesses.push(write_access(world, "conflict", "writes at the position of its own handle", conflict));
        let [who, rival] = describe::names(world, [now.strand, conflict.strand]);
        let draft = Draft {
            kind: Kind::InterleavedWrite,
            severity: Severity::Error,
            evidence,
            message: format!(
                "{who} and {rival} have opened {} each for themselves with mode \"w\", and write over each other from its start",
                subject.name
            ),
            accesses,
            why: Some(
                "each handle has a position of its own, and opening with \"w\" empties the file for the others too".to_owned(),
            ),
            observed: observed.then(|| "both wrote while both had it open".to_owned()),
            help: format!(
                "open {} once and share the handle under a lock, open it for appending with one write per record, or write to a file of one's own and rename it (os.replace)",
                subject.name
            ),
            subject,
        };
        let mut made = finding(world, mine.process, draft);
        if observed {
            let opened = [&mine.opened, &theirs.opened].into_iter().flatten();
            let opened = opened.map(|point| Scene { access: None, ..Scene::of(point, 0, "open") });
            let mut scenes: Vec<Scene<'_>> = opened.collect();
            scenes.extend([(now, "write"), (conflict, "conflict")].map(|(point, role)| scene(&made, point, role)));
            made.timeline = picture::timeline(world, &scenes);
        }
        self.split.insert(mine.inode);
        findings.add_named(again, made);
    }

    fn note_unordered(&mut self, world: &World, process: ProcessId, handle: HandleId, first: &Point, second: &Point) {
        let Some(handle) = self.ledger.handle(handle) else { return };
        let key = (handle.inode, process);
        if self.notes.contains_key(&key) {
            return;
        }
        if handle.is_standard()
            || !can_meet(world, first, second, false)
            || !(touches_user(world, first) || touches_user(world, second))
        {
            return;
        }
        let subject = self.subject(handle);
        let [who, other] = describe::names(world, [first.strand, second.strand]);
        let draft = Draft {
            kind: Kind::UnorderedAccess,
            severity: Severity::Note,
            evidence: Evidence::Possible,
            message: format!(
                "{who} and {other} write to {} in an order that nothing decides; each record is one call, and stays whole",
                subject.name
            ),
            accesses: vec![
                write_access(world, "write", "writes one record", first),
                write_access(world, "conflict", "writes one record", second),
            ],
            why: None,
            observed: None,
            help: format!("nothing to do where the order of records in {} does not matter", subject.name),
            subject,
        };
        self.notes.insert(key, finding(world, process, draft));
    }

    fn subject(&self, handle: &Handle) -> Subject {
        let path = handle.path.as_deref().or_else(|| self.ledger.path_of(handle.inode));
        let name = match (path, handle.fd) {
            (Some(path), _) => naming::base(path).to_owned(),
            (None, 1) => "standard output".to_owned(),
            (None, 2) => "standard error".to_owned(),
            _ => "a file".to_owned(),
        };
        Subject { kind: "file".to_owned(), name }
    }
}

fn again(world: &World, kind: Kind, handle: &Handle, one: &Point, other: &Point) -> super::findings::Again {
    let site = |point: &Point| {
        world.site_id(describe::process_of(world, point.strand), point.stack).map_or(u64::from(u32::MAX), u64::from)
    };
    (kind, handle.inode, (site(one) << 32) | site(other))
}

fn touches_user(world: &World, point: &Point) -> bool {
    describe::touches_user_code(world, describe::process_of(world, point.strand), point.stack)
}

fn write_access(world: &World, role: &str, what: &str, point: &Point) -> AccessReport {
    describe::access(world, Act { role, what, strand: point.strand, stack: point.stack, held: point.held() })
}

fn opened(world: &World, handle: &Handle) -> Option<AccessReport> {
    handle.opened.as_ref().map(|opened| write_access(world, "open", "opens the file", opened))
}

fn why(world: &World, process: ProcessId, record: &Parts, latent: bool) -> Option<String> {
    if latent {
        return Some("one call writes the parts one by one: the GIL keeps them together unless an argument's __str__ runs code or the buffer is flushed".to_owned());
    }
    let frames = world.frames(process, record.last.stack);
    let line = frames.first().map(|frame| format!(" (line {})", frame.line)).unwrap_or_default();
    Some(format!("other strands can run between the writes of one record{line}"))
}

fn help(world: &World, file: &str, points: &[&Point]) -> String {
    let lock = points.iter().flat_map(|point| point.held()).find(|held| held.excludes);
    match lock {
        Some(lock) => format!(
            "hold {} around the whole record on every side, or build the record first and write it with one call",
            naming::lock(world, lock.lock)
        ),
        None => {
            format!("build the record first and write it to {file} with one call, or hold one lock around all writes of a record")
        }
    }
}

/// A write that is the finding's access with this role.
fn scene<'a>(finding: &Finding, point: &'a Point, role: &str) -> Scene<'a> {
    let access = finding.accesses.iter().position(|access| access.role == role);
    Scene { access, ..Scene::of(point, 0, "write") }
}

/// A call of `print` with several things to print.
fn writes_in_parts(world: &World, process: ProcessId, site: SiteId) -> bool {
    let Some(definitions) = world.definitions(process) else { return false };
    let Some(site) = definitions.site(site) else { return false };
    let Some(entry) = definitions.code(site.code) else { return false };
    source::called(&entry.info.code, definitions.version(), site.offset).is_some_and(|called| called.name == "print")
}

#[cfg(test)]
mod tests;
