//! The state of the session as all detectors need it: who runs, what is defined, who holds what, what is ordered.
//! It makes no findings.

use crate::event::{Event, ObjectId, ProcessId, Record, Shape, StackId, TaskId, Tid};
use crate::finding::{Frame, StrandReport};

use super::clock::Moment;
use super::definitions::{Definitions, Site, SiteId};
use super::history::History;
use super::lock::{Held, Lock, LockId, Locks};
use super::options::Options;
use super::process::{Object, Process};
use super::strand::{Strand, StrandId, Strands, UNKNOWN_NAME};

#[derive(Debug)]
pub struct World {
    pub options: Options,
    pub(super) processes: Vec<Process>,
    pub(super) strands: Strands,
    pub(super) locks: Locks,
    /// Moments up to these are taken as ordered before everything: their strand held an unknown lock, or records are lost.
    pub(super) forgiven: rustc_hash::FxHashMap<u32, u32>,
    pub(super) acquisitions: u64,
    pub(super) history: History,
    sequence: u64,
    current: Option<StrandId>,
    pub(super) counts: Counts,
}

/// What was watched, for the report.
#[derive(Debug, Default, Clone)]
pub struct Counts {
    pub events: u64,
    pub samples: u64,
    pub lost: u64,
    pub threads: u64,
    pub tasks: u64,
    pub not_watched: std::collections::BTreeSet<String>,
}

/// Processes that one session tells apart.
const MOST_PROCESSES: usize = 1 << 16;

impl World {
    pub fn new(options: Options) -> World {
        World {
            options,
            processes: Vec::new(),
            strands: Strands::default(),
            locks: Locks::default(),
            forgiven: rustc_hash::FxHashMap::default(),
            acquisitions: 0,
            history: History::default(),
            sequence: 0,
            current: None,
            counts: Counts::default(),
        }
    }

    /// Number of the record that is being looked at: later records have higher ones.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    // ---- definitions

    pub fn process(&self, id: ProcessId) -> Option<&Process> {
        self.processes.get(id.0 as usize)
    }

    pub fn processes(&self) -> impl Iterator<Item = (ProcessId, &Process)> {
        (0u32..).map(ProcessId).zip(&self.processes)
    }

    pub(super) fn process_mut(&mut self, id: ProcessId) -> Option<&mut Process> {
        let index = id.0 as usize;
        if index >= self.processes.len() {
            if index >= MOST_PROCESSES {
                return None;
            }
            self.processes.resize_with(index + 1, Process::default);
        }
        self.processes.get_mut(index)
    }

    pub fn definitions(&self, process: ProcessId) -> Option<&Definitions> {
        self.process(process).map(|process| &process.definitions)
    }

    pub fn text(&self, process: ProcessId, id: crate::event::TextId) -> &str {
        self.definitions(process).map_or("?", |definitions| definitions.text(id))
    }

    pub fn object(&self, process: ProcessId, id: ObjectId) -> Option<&Object> {
        self.process(process)?.objects.get(&id)
    }

    pub fn shape(&self, process: ProcessId, id: ObjectId) -> Option<Shape> {
        self.object(process, id).map(|object| object.shape)
    }

    /// The innermost frame's site of a stack, with what the plan says of it.
    pub fn site(&self, process: ProcessId, stack: StackId) -> Option<&Site> {
        self.definitions(process)?.site_of(stack)
    }

    pub fn site_id(&self, process: ProcessId, stack: StackId) -> Option<SiteId> {
        self.definitions(process)?.site_id(stack)
    }

    /// Innermost first.
    pub fn frames(&self, process: ProcessId, stack: StackId) -> Vec<Frame> {
        self.definitions(process).map(|definitions| definitions.frames(stack)).unwrap_or_default()
    }

    pub fn free_threaded(&self, process: ProcessId) -> bool {
        self.process(process).is_some_and(|process| process.info.free_threaded)
    }

    // ---- strands

    /// The strand that the record tells of: the thread that made it, or the task that this thread was running.
    pub fn strand_of(&self, record: &Record) -> Option<StrandId> {
        let _ = record;
        self.current
    }

    /// Does the record tell of something that a strand does of which it is not known what it holds?
    pub(super) fn is_unsettled(&self) -> bool {
        self.current.and_then(|strand| self.strands.get(strand)).is_some_and(|strand| strand.unsettled)
    }

    pub fn strand(&self, id: StrandId) -> Option<&Strand> {
        self.strands.get(id)
    }

    pub fn strands(&self) -> impl Iterator<Item = (StrandId, &Strand)> {
        self.strands.iter()
    }

    /// The strand of a thread itself, whatever task it runs.
    pub fn thread(&self, process: ProcessId, tid: Tid) -> Option<StrandId> {
        self.process(process)?.threads.get(&tid).map(|thread| thread.own)
    }

    pub fn task(&self, process: ProcessId, task: TaskId) -> Option<StrandId> {
        self.process(process)?.tasks.get(&task).map(|task| task.strand)
    }

    /// For a task the strand of the thread that runs its event loop (once it has run), for a thread itself.
    pub fn home(&self, strand: StrandId) -> Option<StrandId> {
        self.strands.get(strand)?.home
    }

    /// Do both run on one event loop's thread, so that they only switch where one gives way?
    pub fn same_loop(&self, a: StrandId, b: StrandId) -> bool {
        a == b || self.home(a).is_some_and(|home| self.home(b) == Some(home))
    }

    /// Could both have lived at one time? Where both starts were seen, not having done so was luck; else something unseen may
    /// order them.
    pub fn could_meet(&self, a: StrandId, b: StrandId) -> bool {
        match (self.strands.get(a), self.strands.get(b)) {
            (Some(one), Some(other)) if one.process != other.process => {
                self.are_siblings(one.process, other.process) || self.ran_together(one.process, other.process)
            }
            (Some(one), Some(other)) => (one.birth.is_some() && other.birth.is_some()) || one.alive_with(other),
            _ => false,
        }
    }

    /// By the clock: the first records of a process may come when another has long ended. Where nobody has seen what
    /// started them, one may have been waited for before the other came: each has to have said something later.
    fn ran_together(&self, a: ProcessId, b: ProcessId) -> bool {
        let (Some(one), Some(other)) = (self.process(a), self.process(b)) else { return false };
        if !self.related(a, b) {
            return other.started < one.alive && one.started < other.alive;
        }
        one.ended.is_none_or(|end| other.started < end) && other.ended.is_none_or(|end| one.started < end)
    }

    // ---- order

    pub fn moment(&self, strand: StrandId) -> Option<Moment> {
        self.strands.get(strand).map(|strand| strand.clock.moment())
    }

    /// Is that moment over, whatever the scheduler does, before what `strand` does now?
    pub fn hard_before(&self, moment: Moment, strand: StrandId) -> bool {
        self.strands.get(strand).is_none_or(|strand| strand.clock.hard_after(moment)) || self.is_forgiven(moment)
    }

    /// The same, counting also order that critical sections give which check what others wrote.
    pub fn soft_before(&self, moment: Moment, strand: StrandId) -> bool {
        self.strands.get(strand).is_none_or(|strand| strand.clock.soft_after(moment)) || self.is_forgiven(moment)
    }

    /// The same, counting also order by what loops wait for.
    pub fn seen_before(&self, moment: Moment, strand: StrandId) -> bool {
        self.strands.get(strand).is_none_or(|strand| strand.clock.seen_after(moment)) || self.is_forgiven(moment)
    }

    /// Do checks of this part in critical sections give order to other subjects? Then it is judged by hard order alone.
    pub fn gives_order(&self, process: ProcessId, object: ObjectId, key: crate::event::KeyId) -> bool {
        self.object(process, object).is_some_and(|object| object.sources.contains(&key))
    }

    fn is_forgiven(&self, moment: Moment) -> bool {
        !self.forgiven.is_empty() && self.forgiven.get(&moment.chain).is_some_and(|tick| *tick >= moment.tick)
    }

    // ---- locks

    /// Locks that the strand holds, in the order of acquisition.
    pub fn held(&self, strand: StrandId) -> &[Held] {
        self.strands.get(strand).map_or(&[], |strand| &strand.held)
    }

    pub fn lock(&self, id: LockId) -> Option<&Lock> {
        self.locks.get(id)
    }

    pub fn lock_of(&self, process: ProcessId, object: ObjectId) -> Option<LockId> {
        self.process(process)?.locks.get(&object).copied()
    }

    pub fn locks(&self) -> impl Iterator<Item = (LockId, &Lock)> {
        self.locks.iter()
    }

    pub fn history(&self) -> &History {
        &self.history
    }

    // ---- reports

    pub fn strand_report(&self, id: StrandId) -> StrandReport {
        let unknown = || StrandReport {
            kind: "thread".to_owned(),
            name: "a thread that has ended".to_owned(),
            tid: 0,
            task: None,
            pid: None,
            process: None,
            started: Vec::new(),
        };
        let Some(strand) = self.strands.get(id) else { return unknown() };
        let name = match strand.name {
            UNKNOWN_NAME => "(there before)",
            name => self.text(strand.process, name),
        };
        let name = name.to_owned();
        let several = self.processes.len() > 1;
        StrandReport {
            kind: if strand.task.is_some() { "task" } else { "thread" }.to_owned(),
            task: strand.task.map(|_| name.clone()),
            name,
            tid: strand.thread.0,
            pid: self.process(strand.process).filter(|_| several).map(|process| process.info.pid),
            process: self.process_name(strand.process).filter(|_| several),
            started: self.definitions(strand.process).map(|it| it.frames_of_user(strand.started)).unwrap_or_default(),
        }
    }

    /// What the program itself calls the process, if it does.
    pub fn process_name(&self, id: ProcessId) -> Option<String> {
        let name = self.process(id)?.name?;
        Some(self.text(id, name).to_owned())
    }

    // ---- the way of a record

    /// Everything that a record changes, but what it ends or releases. Before the detectors see it.
    pub(super) fn begin(&mut self, record: &Record) {
        self.sequence += 1;
        self.counts.events += 1;
        if self.define(record) {
            return;
        }
        self.current = self.ensure_strand(record);
        if let Some(strand) = self.current {
            self.leave_loop(strand, record);
            self.advance(strand, record);
        }
    }

    /// What a record ends or releases. After the detectors have seen it.
    pub(super) fn finish(&mut self, record: &Record) {
        match self.current {
            Some(strand) => self.conclude(strand, record),
            None => self.close(record),
        }
    }

    /// Definitions and notes that belong to no strand. False: it is something else.
    fn define(&mut self, record: &Record) -> bool {
        let Some(process) = self.process_mut(record.process) else { return true };
        if !matches!(record.event, Event::ProcessEnd { .. } | Event::Gap { .. }) {
            process.alive = process.alive.max(record.time);
        }
        let definitions = &mut process.definitions;
        match &record.event {
            Event::Process(info) => {
                definitions.set_version(info.python, info.free_threaded);
                process.info = info.clone();
                process.started = record.time;
            }
            Event::Text { id, text } => definitions.texts.define(*id, text),
            Event::Code(info) => definitions.define_code(info),
            Event::Stack { id, parent, code, offset } => definitions.define_stack(*id, *parent, *code, *offset),
            Event::Key { id, label } => definitions.texts.define_key(*id, *label),
            Event::Object { id, shape, type_name, label } => {
                label.iter().for_each(|label| definitions.texts.is_label(*label));
                let object = Object::new(*shape, *type_name, *label);
                process.objects.insert(*id, object);
            }
            Event::NotWatched { what, why } => {
                let sentence = format!("{}: {}", definitions.text(*what), definitions.text(*why));
                self.counts.not_watched.insert(sentence);
            }
            Event::ProcessName { name } => process.name = Some(*name),
            Event::Sample(_) => self.counts.samples += 1,
            Event::Gap { lost } => {
                self.counts.lost = self.counts.lost.saturating_add(*lost);
                self.forgive_all(record.process);
            }
            Event::ProcessEnd { .. } | Event::ObjectEnd { .. } => {}
            _ => return false,
        }
        self.current = None;
        true
    }
}
