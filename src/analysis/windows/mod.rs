//! Windows: read-modify-write and check-then-act, within a function or spanning calls, against other strands' writes;
//! and notes on plain accesses without order. Follows accesses; iteration, files and locks are other detectors' business.
//!
//! | module | holds |
//! |---|---|
//! | [`shadow`] | what is remembered of each subject |
//! | [`activation`] | reads that wait for their write, and closed windows |
//! | [`spans`] | windows across functions |
//! | [`judge`] | the rules: order, mutual exclusion, harmlessness |
//! | [`found`] | races, once each |
//! | [`explain`], [`help`] | findings in words |
//! | [`unordered`] | plain accesses |

mod activation;
mod explain;
mod found;
mod help;
mod judge;
mod shadow;
mod spans;
#[cfg(test)]
mod tests;
mod unordered;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use self::activation::{Closed, Open, Opens, Which, are_one_step};
use self::found::Found;
use self::judge::Effect;
use self::shadow::{ObjectShadow, Part, Past, Shadow};
use super::clock::Known;
use super::definitions::Site;
use super::findings::Again;
use super::polls::{Lesson, Told};
use super::strand::Strand;
use super::{Detector, Findings, StrandId, World};
use crate::event::{Access, Action, Event, KeyId, ProcessId, Record, Shape, Value};
use racetrace_probes::plan::WindowKind;

/// Open reads of ended strands whose memory is kept.
const SPARE: usize = 256;

#[derive(Default)]
pub struct Windows {
    processes: Vec<Shadow>,
    opens: FxHashMap<StrandId, Opens>,
    /// Those of ended strands, for strands to come: tasks begin and end by the thousand.
    spare: Vec<Opens>,
    /// The key with which each race was described; another one shows that it concerns several keys.
    keys: FxHashMap<Again, KeyId>,
    notes: unordered::Notes,
    lessons: SmallVec<[Lesson; 1]>,
    shared: u64,
}

impl Detector for Windows {
    fn follows_accesses(&self) -> bool {
        true
    }

    fn record(&mut self, world: &World, record: &Record, findings: &mut Findings) {
        match &record.event {
            Event::Access(access) => {
                if let Some(strand) = world.strand_of(record) {
                    self.access(&Now { world, process: record.process, strand, access, time: record.time }, findings);
                }
            }
            Event::Enter { frame, .. } => {
                if let Some(opens) = world.strand_of(record).and_then(|strand| self.opens.get_mut(&strand)) {
                    opens.entered(*frame);
                }
            }
            Event::ObjectEnd { id } => {
                if let Some(shadow) = self.processes.get_mut(record.process.0 as usize) {
                    shadow.forget(*id);
                }
            }
            Event::ThreadEnd => self.forget_strand(world.strand_of(record)),
            Event::TaskEnd { task } => self.forget_strand(world.task(record.process, *task)),
            Event::Gap { .. } | Event::Settled | Event::ProcessEnd { .. } => self.forget_process(world, record.process),
            _ => {}
        }
    }

    fn lesson(&mut self) -> Option<Lesson> {
        self.lessons.pop()
    }

    fn report(&mut self, _world: &World, findings: &mut Findings) {
        findings.shared_subjects = self.shared;
        self.notes.withdraw_where_races_are(findings);
    }
}

/// An access that happens now.
struct Now<'a> {
    world: &'a World,
    process: ProcessId,
    strand: StrandId,
    access: &'a Access,
    time: u64,
}

impl Now<'_> {
    fn past(&self, value: Value, shared: bool) -> Option<Past> {
        let strand = self.world.strand(self.strand)?;
        let clock = &strand.clock;
        Some(Past {
            strand: self.strand,
            home: strand.home,
            moment: clock.moment(),
            sequence: self.world.sequence(),
            time: self.time,
            stack: self.access.stack,
            site: self.world.site_id(self.process, self.access.stack)?,
            action: self.access.action,
            value,
            locks: strand.snapshot(),
            turns: strand.turns,
            job: strand.jobs.current(),
            known: (shared && self.access.action != Action::Read).then(|| clock.knowledge().clone()),
            polls: false,
        })
    }
}

impl Windows {
    fn forget_strand(&mut self, strand: Option<StrandId>) {
        let ended = strand.and_then(|strand| self.opens.remove(&strand));
        if let Some(mut opens) = ended.filter(|_| self.spare.len() < SPARE) {
            opens.clear();
            self.spare.push(opens);
        }
    }

    fn forget_process(&mut self, world: &World, process: ProcessId) {
        self.opens.retain(|strand, _| world.strand(*strand).is_some_and(|strand| strand.process != process));
        if let Some(shadow) = self.processes.get_mut(process.0 as usize) {
            shadow.clear();
        }
    }

    fn access(&mut self, now: &Now<'_>, findings: &mut Findings) {
        // Knows the process too: what follows may grow by its number.
        let Some(site) = now.world.site(now.process, now.access.stack) else { return };
        let index = now.process.0 as usize;
        if index >= self.processes.len() {
            self.processes.resize_with(index + 1, Shadow::default);
        }
        let Some(shadow) = self.processes.get_mut(index) else { return };
        let Some((newly_shared, object)) = touch(shadow, now) else { return };
        let (shared, creator) = (object.shared(), object.creator);
        self.shared += u64::from(newly_shared);
        if now.access.action == Action::Read {
            self.read(now, site, shared, findings);
        } else if site.constructs && !shared && creator == Some(now.strand) {
            shadow.part_mut(now.access.object, now.access.key).value = Some(now.access.value);
        } else {
            self.write(now, site, shared, findings);
        }
        if let Some(shadow) = self.processes.get_mut(index) {
            shadow.make_room(now.world.options.subjects);
        }
    }

    fn read(&mut self, now: &Now<'_>, site: &Site, shared: bool, findings: &mut Findings) {
        let Access { object, key, frame, .. } = *now.access;
        let in_span = spans::concerns(now);
        let poll = now.world.definitions(now.process).and_then(|definitions| definitions.poll_at(now.access.stack));
        if !site.opens && !in_span && !shared && poll.is_none() {
            return;
        }
        let Some(shadow) = self.processes.get_mut(now.process.0 as usize) else { return };
        let part = shadow.part_mut(object, key);
        let value = if now.access.value == Value::Unknown { part.value } else { Some(now.access.value) };
        let Some(mut past) = now.past(value.unwrap_or(Value::Unknown), shared) else { return };
        past.polls = poll.is_some();
        if let Some(at) = poll {
            part.polled = true;
            let told = told_by_writers(now, part, |_| true);
            self.lessons.push(Lesson::Polled { strand: now.strand, at, part: (object, key), told });
        }
        if site.opens || in_span {
            let writes_before = part.writes_total;
            let open = Open { frame, offset: site.offset, object, key, past: past.clone(), writes_before, value, claimed: false };
            let opens = self.opens.entry(now.strand).or_insert_with(|| self.spare.pop().unwrap_or_default());
            if in_span {
                spans::look_again(now, site, &open, opens);
                let own = |write: &Past| write.strand == now.strand && are_one_step(write, &past, in_task(now));
                spans::open(now, site, &open, part.writes.iter().any(own), opens);
            }
            if site.opens {
                opens.open(open);
            }
        }
        if shared {
            if site.opens_check {
                let mut found = Found { now, keys: &mut self.keys, findings, told: SmallVec::new() };
                found.check_against_windows(shadow, &past);
            }
            self.notes.read(now, shadow, past, findings);
        }
    }

    fn write(&mut self, now: &Now<'_>, site: &Site, shared: bool, findings: &mut Findings) {
        let Access { object, key, .. } = *now.access;
        let Some(past) = now.past(now.access.value, shared) else { return };
        let closed = self.close(now, site, &past);
        if let Some(opens) = self.opens.get_mut(&now.strand).filter(|_| key != KeyId::WHOLE || !is_container(now)) {
            opens.write(now.access.frame, object, key, &past, in_task(now));
        }
        let Some(shadow) = self.processes.get_mut(now.process.0 as usize) else { return };
        let polls = now.world.definitions(now.process).and_then(|all| Some((all, all.poll_at(now.access.stack)?)));
        if let Some((definitions, at)) = polls.filter(|_| site.polls.is_some()) {
            // Whoever takes something out follows those who put things in.
            let grows = |write: &Past| Effect::of(write.action, definitions.site(write.site)).grows;
            let part = shadow.part_mut(object, key);
            part.polled = true;
            let told = told_by_writers(now, part, grows);
            self.lessons.push(Lesson::Polled { strand: now.strand, at, part: (object, key), told });
        }
        let effect = Effect::of(now.access.action, Some(site));
        let resizes = key != KeyId::WHOLE && (effect.grows || effect.shrinks) && is_container(now);
        if shared {
            let mut found = Found { now, keys: &mut self.keys, findings, told: SmallVec::new() };
            found.windows_against_writes(shadow, &closed);
            found.write_against_windows(shadow, &past, key);
            if resizes {
                found.write_against_windows(shadow, &past, KeyId::WHOLE);
            }
            self.notes.write(now, shadow, &past, findings);
        }
        for window in closed {
            let which = window.which;
            shadow.part_mut(object, window.key).windows.put(now.strand, window, |other| other.which == which);
        }
        if resizes {
            let whole = shadow.part_mut(object, KeyId::WHOLE);
            self.lessons.extend(whole.polled.then_some(Lesson::Stored { strand: now.strand, part: (object, KeyId::WHOLE) }));
            whole.has_been_written(past.clone());
        }
        let part = shadow.part_mut(object, key);
        part.value = Some(now.access.value);
        self.lessons.extend(part.polled.then_some(Lesson::Stored { strand: now.strand, part: (object, key) }));
        part.has_been_written(past);
    }

    /// The windows that this write closes.
    fn close(&mut self, now: &Now<'_>, site: &Site, past: &Past) -> SmallVec<[Closed; 2]> {
        let mut closed = SmallVec::new();
        let in_span = spans::concerns(now);
        if site.closes.is_empty() && !in_span {
            return closed;
        }
        let Some(opens) = self.opens.get_mut(&now.strand) else { return closed };
        let Some(definitions) = now.world.definitions(now.process) else { return closed };
        let Access { object, key, frame, .. } = *now.access;
        let all = key == KeyId::WHOLE && is_sequence(now);
        let fits = |read: KeyId| read == key || read == KeyId::WHOLE || key == KeyId::WHOLE;
        for index in &site.closes {
            let Some(window) = definitions.window(site.code, *index) else { continue };
            if let Some(open) = opens.latest(frame, &window.reads, object, fits)
                && !(open.claimed && window.kind == WindowKind::CheckThenAct)
            {
                closed.push(Closed::new(Which::Window(site.code, *index), open, past.clone(), all));
            }
        }
        let inner: SmallVec<[WindowKind; 4]> = closed.iter().filter_map(|window| kind_of(now, window.which)).collect();
        if in_span {
            spans::close(now, site, opens, past, &inner, fits, &mut closed);
        }
        closed
    }
}

/// The object, and whether it is shared now for the first time.
fn touch<'a>(shadow: &'a mut Shadow, now: &Now<'_>) -> Option<(bool, &'a ObjectShadow)> {
    let strand = now.world.strand(now.strand)?;
    let moment = strand.clock.moment();
    let action = now.access.action;
    let object = shadow.object_or(now.access.object, || ObjectShadow::new(now.strand, moment, action));
    let job = strand.jobs.current();
    if job != 0 {
        object.touch_in(job);
    }
    let newly_shared = object.touch(now.strand, now.world.sequence(), |object| {
        let later = |birth: &Known| !birth.includes(object.first) && object.first.chain != moment.chain;
        // What comes by a queue is handed over when it is put there: from then on order says what its maker may do.
        strand.birth.as_ref().is_none_or(later) && !strand.jobs.were_given_after(object.first)
    });
    Some((newly_shared, object))
}

/// What was over for those who wrote a part. Whoever sets a flag does away with what was there; whoever counts on, or
/// adds to a container, founds on what others did.
fn told_by_writers(now: &Now<'_>, part: &Part, counts: impl Fn(&Past) -> bool) -> Told {
    let mut writes = part.writes.iter().rev().filter(|write| counts(write));
    let Some(last) = writes.next() else { return Told::default() };
    let alone = last.action == Action::Write && matches!(last.value, Value::Bool(_) | Value::None);
    let others = writes.filter(|_| !alone);
    let mut told = Told { known: if alone { Known::default() } else { part.before.clone() }, ..Told::default() };
    for write in std::iter::once(last).chain(others).filter(|write| write.strand != now.strand) {
        // If nobody else had touched it then: what its strand has come to know.
        let by_now = || now.world.strand(write.strand).map(Strand::knowledge);
        write.known.as_ref().or_else(by_now).iter().for_each(|known| told.known.join(known.seen()));
        told.known.learn(write.moment);
        told.by.push(write.strand);
    }
    told
}

fn in_task(now: &Now<'_>) -> bool {
    now.world.strand(now.strand).is_some_and(|strand| strand.task.is_some())
}

fn is_container(now: &Now<'_>) -> bool {
    let shape = now.world.shape(now.process, now.access.object);
    matches!(shape, Some(Shape::Dict | Shape::List | Shape::Set | Shape::Deque | Shape::Mapping))
}

fn is_sequence(now: &Now<'_>) -> bool {
    matches!(now.world.shape(now.process, now.access.object), Some(Shape::List | Shape::Deque))
}

fn kind_of(now: &Now<'_>, which: Which) -> Option<WindowKind> {
    let definitions = now.world.definitions(now.process)?;
    match which {
        Which::Window(code, index) => definitions.window(code, index).map(|window| window.kind),
        Which::Span(code, index) => definitions.span(code, index).map(|span| span.kind),
    }
}
