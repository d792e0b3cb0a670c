//! Collects from the events what a picture over time needs: lanes of threads, tasks on them, waits, and locks from acquire
//! to release. Bounded: what no longer fits is counted. Accesses are not drawn: there are too many to see anything.

use crate::event::{CodeId, CodeInfo, Event, LockKind, ObjectId, Record, StackId, TaskId, TextId, Tid};
use crate::finding::StrandReport;
use std::collections::{BTreeMap, HashMap, HashSet};

/// More than a viewer shows fluently.
const MOST_SPANS: usize = 500_000;

/// What happened over time, ready to be drawn.
#[derive(Debug, Default)]
pub struct Chart {
    processes: BTreeMap<u32, Process>,
    rows: Vec<Row>,
    spans: Vec<Span>,
    left_out: u64,
    latest: u64,
}

/// A thread's row; numbers are the chart's own, so that no reused id joins two threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Lane {
    pub(super) process: u32,
    pub(super) thread: u32,
}

/// A thread's lane, with what tells the thread from others.
#[derive(Debug)]
struct Row {
    lane: Lane,
    name: String,
    thread: Tid,
    begin: u64,
    end: Option<u64>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Span {
    pub(super) lane: Lane,
    pub(super) shape: Shape,
    pub(super) name: String,
    pub(super) start: u64,
    pub(super) end: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Lies wholly inside or outside of every other one of its lane.
    Nested(&'static str),
    /// May overlap others: a lock that is held, a task that waits.
    Overlapping,
    Instant,
}

impl Shape {
    pub(super) fn category(self) -> &'static str {
        match self {
            Shape::Nested(category) => category,
            Shape::Overlapping => "lock",
            Shape::Instant => "loss",
        }
    }
}

#[derive(Debug, Default)]
struct Process {
    name: String,
    texts: HashMap<TextId, String>,
    codes: HashMap<CodeId, String>,
    stacks: HashMap<StackId, CodeId>,
    locks: HashMap<ObjectId, TextId>,
    /// Where locks were made: their name where they have no other.
    made: HashMap<ObjectId, StackId>,
    tasks: HashMap<TaskId, TextId>,
    /// Index into the chart's rows.
    threads: HashMap<Tid, usize>,
    running: HashMap<Tid, (TaskId, u64)>,
    /// Locks of tasks: whoever waits for one does not block its thread.
    of_tasks: HashSet<ObjectId>,
    waiting: HashMap<(ObjectId, Tid), u64>,
    /// Since when, and how many times.
    held: HashMap<(ObjectId, Tid), (u64, u32)>,
}

/// Where and when something happens.
#[derive(Debug, Clone, Copy)]
struct At {
    /// The process's number in the chart.
    process: u32,
    thread: Tid,
    time: u64,
}

impl Chart {
    #[must_use]
    pub fn new() -> Chart {
        Chart::default()
    }

    /// Takes the next event.
    pub fn record(&mut self, record: &Record) {
        self.latest = self.latest.max(record.time);
        let at = At { process: record.process.0.saturating_add(1), thread: record.thread, time: record.time };
        let process = self.processes.entry(at.process).or_default();
        match &record.event {
            Event::Process(info) => process.name = format!("process {}: {}", info.pid, info.command.join(" ")),
            Event::Text { id, text } => drop(process.texts.insert(*id, text.clone())),
            Event::Object { id, shape: crate::event::Shape::Lock, label: Some(label), .. } => {
                process.locks.insert(*id, *label);
            }
            Event::Code(info) => drop(process.codes.insert(CodeId(info.id), code_name(info))),
            Event::Stack { id, code, .. } => drop(process.stacks.insert(*id, *code)),
            Event::LockNew { lock, kind, stack } => {
                process.made.insert(*lock, *stack);
                if matches!(kind, LockKind::AsyncLock | LockKind::AsyncSemaphore(_)) {
                    process.of_tasks.insert(*lock);
                }
            }
            Event::TaskNew { task, name, .. } => drop(process.tasks.insert(*task, *name)),
            Event::ThreadBegin { name, .. } => {
                let name = process.text(*name);
                self.begin(at, name);
            }
            Event::ThreadName { name } => {
                let name = process.text(*name);
                let index = self.lane(at);
                if let Some(row) = self.rows.get_mut(index) {
                    row.name = name;
                }
            }
            Event::ThreadEnd => self.end(at),
            Event::TaskSwitch { task } => self.switch(at, *task),
            Event::LockWait { lock, .. } => drop(process.waiting.insert((*lock, at.thread), at.time)),
            Event::LockFailed { lock, .. } => self.waited(at, *lock),
            Event::LockAcquired { lock, .. } => self.acquired(at, *lock),
            Event::LockReleased { lock, .. } => self.released(at, *lock),
            Event::Gap { lost } => self.add(at, Shape::Instant, format!("{lost} records lost"), at.time),
            _ => {}
        }
    }

    /// Draws what is still open at the end. To be called once, after the last event.
    #[must_use]
    pub fn finished(mut self) -> Chart {
        let open = |(number, process): (&u32, &Process)| {
            let mut threads: Vec<Tid> = process.threads.keys().copied().collect();
            threads.sort();
            threads.into_iter().map(|thread| At { process: *number, thread, time: self.latest }).collect::<Vec<_>>()
        };
        let open: Vec<At> = self.processes.iter().flat_map(open).collect();
        for at in open {
            self.end(at);
        }
        self.spans.sort_by(|a, b| a.order().cmp(&b.order()));
        self
    }

    /// Puts another finished chart's processes beside this one's.
    pub fn join(&mut self, other: Chart) {
        let processes = self.processes.keys().next_back().copied().unwrap_or(0);
        let threads = u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
        let moved =
            |lane: Lane| Lane { process: lane.process.saturating_add(processes), thread: lane.thread.saturating_add(threads) };
        self.processes.extend(other.processes.into_iter().map(|(number, process)| (number.saturating_add(processes), process)));
        self.rows.extend(other.rows.into_iter().map(|row| Row { lane: moved(row.lane), ..row }));
        self.left_out = self.left_out.saturating_add(other.left_out);
        for span in other.spans {
            if self.spans.len() < MOST_SPANS {
                self.spans.push(Span { lane: moved(span.lane), ..span });
            } else {
                self.left_out += 1;
            }
        }
    }

    pub(super) fn processes(&self) -> impl Iterator<Item = (u32, String)> + '_ {
        let named = |(number, process): (&u32, &Process)| {
            let name = if process.name.is_empty() { format!("process {number}") } else { process.name.clone() };
            (*number, name)
        };
        self.processes.iter().filter(|(_, process)| !process.name.is_empty() || !process.texts.is_empty()).map(named)
    }

    pub(super) fn lanes(&self) -> impl Iterator<Item = (Lane, &str)> {
        self.rows.iter().map(|row| (row.lane, row.name.as_str()))
    }

    pub(super) fn spans(&self) -> &[Span] {
        &self.spans
    }

    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }

    /// The lane of the strand's thread: by its number among those that lived at this time, else by its name.
    pub(super) fn lane_of(&self, strand: &StrandReport, time: u64) -> Option<Lane> {
        let alive = |row: &&Row| row.begin <= time && row.end.is_none_or(|end| time <= end);
        let only = |fits: &dyn Fn(&Row) -> bool| {
            let mut rows = self.rows.iter().filter(alive).filter(|row| fits(row));
            rows.next().filter(|_| rows.next().is_none()).map(|row| row.lane)
        };
        only(&|row| row.thread.0 == strand.tid).or_else(|| only(&|row| row.name == strand.name))
    }

    fn process(&mut self, at: At) -> &mut Process {
        self.processes.entry(at.process).or_default()
    }

    fn begin(&mut self, at: At, name: String) -> usize {
        self.end(at);
        let index = self.rows.len();
        let thread = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let lane = Lane { process: at.process, thread };
        self.rows.push(Row { lane, name, thread: at.thread, begin: at.time, end: None });
        self.process(at).threads.insert(at.thread, index);
        index
    }

    /// The thread's lane; one that was there before anything was said about it gets its own now.
    fn lane(&mut self, at: At) -> usize {
        let known = self.process(at).threads.get(&at.thread).copied();
        known.unwrap_or_else(|| self.begin(at, format!("thread {}", at.thread.0)))
    }

    fn add(&mut self, at: At, shape: Shape, name: String, start: u64) {
        if self.spans.len() >= MOST_SPANS {
            self.left_out += 1;
            return;
        }
        let index = self.lane(at);
        if let Some(row) = self.rows.get(index) {
            self.spans.push(Span { lane: row.lane, shape, name, start, end: at.time });
        }
    }

    fn end(&mut self, at: At) {
        let process = self.process(at);
        let Some(index) = process.threads.get(&at.thread).copied() else { return };
        let of_thread = |keys: Vec<(ObjectId, Tid)>| {
            let mut locks: Vec<ObjectId> =
                keys.into_iter().filter(|(_, thread)| *thread == at.thread).map(|(lock, _)| lock).collect();
            locks.sort();
            locks
        };
        let held = of_thread(process.held.keys().copied().collect());
        let waiting = of_thread(process.waiting.keys().copied().collect());
        for lock in held {
            self.close(at, lock);
        }
        for lock in waiting {
            self.waited(at, lock);
        }
        self.switch(at, None);
        if let Some(row) = self.rows.get_mut(index) {
            row.end = Some(at.time);
        }
        self.process(at).threads.remove(&at.thread);
    }

    fn switch(&mut self, at: At, to: Option<TaskId>) {
        let process = self.process(at);
        let before = match to {
            Some(task) => process.running.insert(at.thread, (task, at.time)),
            None => process.running.remove(&at.thread),
        };
        if let Some((task, start)) = before {
            let name = process.tasks.get(&task).map_or_else(|| "task".to_owned(), |name| process.text(*name));
            self.add(at, Shape::Nested("task"), name, start);
        }
    }

    fn waited(&mut self, at: At, lock: ObjectId) {
        let process = self.process(at);
        if let Some(start) = process.waiting.remove(&(lock, at.thread)) {
            let name = format!("waits for {}", process.lock(lock));
            let shape = if process.of_tasks.contains(&lock) { Shape::Overlapping } else { Shape::Nested("wait") };
            self.add(at, shape, name, start);
        }
    }

    fn acquired(&mut self, at: At, lock: ObjectId) {
        self.waited(at, lock);
        self.process(at).held.entry((lock, at.thread)).or_insert((at.time, 0)).1 += 1;
    }

    fn released(&mut self, at: At, lock: ObjectId) {
        let process = self.process(at);
        // A lock may be released by another thread than its holder.
        let own = process.held.contains_key(&(lock, at.thread)).then_some(at.thread);
        let other = || process.held.keys().filter(|(held, _)| *held == lock).map(|(_, thread)| *thread).min();
        let Some(holder) = own.or_else(other) else { return };
        match process.held.get_mut(&(lock, holder)) {
            Some((_, times)) if *times > 1 => *times -= 1,
            _ => self.close(At { thread: holder, ..at }, lock),
        }
    }

    fn close(&mut self, at: At, lock: ObjectId) {
        let process = self.process(at);
        if let Some((start, _)) = process.held.remove(&(lock, at.thread)) {
            let name = process.lock(lock);
            self.add(at, Shape::Overlapping, name, start);
        }
    }
}

impl Span {
    /// Outer spans before those inside.
    fn order(&self) -> (Lane, u64, std::cmp::Reverse<u64>, &str) {
        (self.lane, self.start, std::cmp::Reverse(self.end), &self.name)
    }
}

impl Process {
    fn text(&self, id: TextId) -> String {
        self.texts.get(&id).cloned().unwrap_or_default()
    }

    fn lock(&self, lock: ObjectId) -> String {
        let label = self.locks.get(&lock).map(|label| self.text(*label)).filter(|label| !label.is_empty());
        let made = || self.codes.get(self.stacks.get(self.made.get(&lock)?)?);
        let made = || made().map_or_else(|| "a lock".to_owned(), |code| format!("lock made in {code}"));
        label.unwrap_or_else(made)
    }
}

/// `main (app.py)`.
fn code_name(info: &CodeInfo) -> String {
    let code = &info.code;
    let base = code.filename.rsplit('/').next().unwrap_or(&code.filename);
    format!("{} ({base})", code.qualname)
}

#[cfg(test)]
mod tests;
