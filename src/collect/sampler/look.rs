//! One look at the process: reads every thread and task, finds the windows they stand in, makes sure that what it read
//! belongs to one moment, and says it in events. Nothing of the target is written or stopped.

use std::collections::HashMap;
use std::time::Instant;

use crate::cpython::python::ThreadState;
use crate::cpython::task::TaskLayout;
use crate::event::sample::Sample;
use crate::event::{Event, ProcessInfo, Record, Tid};
use crate::target::address::RemoteAddr;
use crate::target::memory::Fault;
use crate::target::threads::{self, Stillness};
use crate::target::view::Noted;

use super::codes::KnownCode;
use super::emit::Emitter;
use super::found::Strand;
use super::locks;
use super::names::ThreadNames;
use super::nesting::Nesting;
use super::pace::{Pace, Whereabouts};
use super::present::Presents;
use super::reading::Reading;
use super::strand::{self, Activation, ThreadView, TidMap};
use super::target::Target;
use super::verify;

/// What the samples of a session came to so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    pub samples: u64,
    /// Those of them that only compared stacks with what had been looked at thoroughly before.
    pub glances: u64,
    /// Looks that gave nothing: the lists could not be read.
    pub missed: u64,
    /// Frames that could not be trusted, because something moved while they were read.
    pub unsure: u64,
    /// Stacks of threads and tasks that could not be read.
    pub unread: u64,
    /// Tasks that had to wait for their turn, because there were too many for one look.
    pub left_out: u64,
    pub threads: u64,
    pub tasks: u64,
}

/// Looks again and again at one process.
#[derive(Debug)]
pub struct Sampler {
    pub target: Target,
    pub(super) emitter: Emitter,
    pub(super) presents: Presents,
    began: Instant,
    tids: TidMap,
    /// The memory in which the lists of threads lie, and what their frames lead to.
    lists: Noted,
    objects: Noted,
    names: ThreadNames,
    pub(super) lock_names: HashMap<RemoteAddr, String>,
    /// Locks that have no name yet, and the looks in which they were seen.
    nameless: HashMap<RemoteAddr, u32>,
    pace: Pace,
    reading: Reading,
    task_layout: Option<TaskLayout>,
    /// Threads that have been announced, by thread state.
    known: HashMap<RemoteAddr, Known>,
    tasks_before: TasksBefore,
    /// The first task of the next look, where there are more than one look takes.
    task_turn: usize,
    pub counts: Counts,
    refreshed: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    tid: Tid,
    stillness: Option<Stillness>,
    seen: u64,
}

/// Where each task stood at the look before: what it awaited, and its frames with their instructions.
type TasksBefore = HashMap<RemoteAddr, (RemoteAddr, Vec<(RemoteAddr, u32)>)>;

/// How often names and code are looked up anew.
const REFRESH: std::time::Duration = std::time::Duration::from_millis(500);
/// Tasks looked at in one sample; the rest has its turn later.
const MOST_TASKS: usize = 2_000;
/// In how many looks at a lock its name is looked for.
const NAME_TRIES: u32 = 5;

impl Sampler {
    pub fn new(target: Target) -> Sampler {
        let pid = target.process.pid;
        let now = Instant::now();
        let task_layout = target.task_lists.map(|lists| lists.layout);
        let mut sampler = Sampler {
            target,
            emitter: Emitter::default(),
            presents: Presents::default(),
            began: now,
            tids: TidMap::of(pid),
            lists: Noted::default(),
            objects: Noted::default(),
            names: ThreadNames::default(),
            lock_names: HashMap::new(),
            nameless: HashMap::new(),
            pace: Pace::default(),
            reading: Reading::default(),
            task_layout,
            known: HashMap::new(),
            tasks_before: HashMap::new(),
            task_turn: 0,
            counts: Counts::default(),
            refreshed: now,
        };
        sampler.announce();
        sampler.refresh();
        sampler
    }

    /// Says which process this is.
    fn announce(&mut self) {
        let process = &self.target.process;
        let version = self.target.python.version;
        let info = ProcessInfo {
            pid: process.pid,
            parent: Some(process.parent),
            python: (3, version.minor, self.target.micro),
            free_threaded: version.free_threaded,
            command: process.command.clone(),
            directory: process.directory.to_string_lossy().into_owned(),
        };
        self.emitter.push(Tid(process.pid), Event::Process(info));
        self.emitter.set_standard(self.target.python.standard_library());
    }

    /// One look.
    ///
    /// # Errors
    /// When the process is gone, or may no longer be read.
    pub fn look(&mut self) -> Result<Vec<Record>, Fault> {
        self.emitter.set_time(u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX));
        if self.refreshed.elapsed() >= REFRESH {
            self.refresh();
        }
        let sample = self.sample();
        self.target.python.memory.let_go();
        match sample {
            Ok(sample) => {
                self.counts.samples += 1;
                match sample {
                    Some(sample) => self.emitter.push(Tid(0), Event::Sample(Box::new(sample))),
                    None => self.counts.glances += 1,
                }
                Ok(self.emitter.take())
            }
            Err(fault @ (Fault::Gone | Fault::Denied)) => Err(fault),
            Err(Fault::Unreadable(_)) => {
                self.counts.missed += 1;
                Ok(self.emitter.take())
            }
        }
    }

    fn refresh(&mut self) {
        let Target { python, codes, .. } = &mut self.target;
        self.refreshed = Instant::now();
        self.tids.forget();
        python.forget_types();
        python.memory.keep();
        codes.refresh(python);
        python.memory.let_go();
        self.lock_names.clear();
        self.nameless.clear();
        self.reading.forget();
        self.names.forget();
    }

    /// `None` where a glance was enough.
    fn sample(&mut self) -> Result<Option<Sample>, Fault> {
        // What is claimed is read again, all at one moment; for the rest each place is read once.
        self.target.python.memory.keep();
        let views = self.views()?;
        if !self.is_thorough(&views) {
            return Ok(None);
        }
        // Behind the frames: what lies in them is to be as old as they are, or newer.
        self.target.python.memory.foresee(&mut self.objects);
        self.announce_threads(&views);
        let mut strands: Vec<Strand> = views.into_iter().map(|view| self.thread_strand(view)).collect();
        let seen = strands.len();
        strands.extend(self.task_strands(&strands));
        self.counts.tasks = self.counts.tasks.max((strands.len() - seen) as u64);
        let Target { python, codes, process, .. } = &mut self.target;
        let emitter = &self.emitter;
        self.reading.read(python, codes, process.pid, &mut strands, &|code: &KnownCode| emitter.is_users(code));
        let sure = if strands.iter().any(Strand::is_of_interest) {
            verify::at_one_moment(&self.target.python, self.target.process.pid, &mut strands)?
        } else {
            vec![false; strands.len()]
        };
        self.presents.forget();
        let unsure = strands.iter().zip(&sure).filter(|(strand, sure)| strand.is_of_interest() && !**sure).count();
        self.counts.unsure += unsure as u64;
        let unread = strands.iter().filter(|strand| strand.view.frames.is_empty()).count();
        self.counts.unread += unread as u64;
        let total = u32::try_from(strands.len()).unwrap_or(u32::MAX);
        self.name_locks(&strands);
        let idents = strands.iter().filter(|strand| strand.task.is_none()).map(|strand| (strand.view.state.ident, strand.tid()));
        let idents: HashMap<u64, Tid> = idents.collect();
        let states = strands.into_iter().zip(sure).filter_map(|(strand, verified)| self.say(strand, verified, &idents)).collect();
        self.target.python.memory.note(&mut self.objects);
        Ok(Some(Sample { strands: states, seen: total, unread: u32::try_from(unread).unwrap_or(u32::MAX) }))
    }

    fn is_thorough(&mut self, views: &[ThreadView]) -> bool {
        let place = |view: &ThreadView| {
            let own = view.frames.iter().filter(|frame| self.emitter.is_users(&frame.code));
            Whereabouts::of(own.map(|frame| (frame.code.id, frame.offset)))
        };
        let places: Vec<Whereabouts> = views.iter().filter_map(place).collect();
        self.pace.is_thorough(self.began.elapsed(), &places)
    }

    fn views(&mut self) -> Result<Vec<ThreadView>, Fault> {
        let Target { python, codes, .. } = &mut self.target;
        python.memory.foresee(&mut self.lists);
        let states = python.threads()?;
        python.memory.note(&mut self.lists);
        strand::threads(python, codes, &self.tids, states)
    }

    fn announce_threads(&mut self, views: &[ThreadView]) {
        let sample = self.counts.samples;
        let is_known = |state: &ThreadState, tid: Tid| self.known.get(&state.at).is_some_and(|known| known.tid == tid);
        for view in views {
            if !is_known(&view.state, tid_of(view)) {
                self.names.forget_one(view.state.ident);
            }
        }
        self.names.find(&self.target.python, views);
        for view in views {
            let tid = tid_of(view);
            if let Some(known) = self.known.get_mut(&view.state.at).filter(|known| known.tid == tid) {
                known.seen = sample;
                continue;
            }
            let name = self.emitter.text(&self.names.of(view.state.ident));
            self.emitter.push(tid, Event::ThreadBegin { token: None, name });
            self.known.insert(view.state.at, Known { tid, stillness: None, seen: sample });
            self.counts.threads += 1;
        }
        let gone: Vec<RemoteAddr> = self.known.iter().filter(|(_, known)| known.seen != sample).map(|(at, _)| *at).collect();
        for at in gone {
            if let Some(known) = self.known.remove(&at) {
                self.emitter.push(known.tid, Event::ThreadEnd);
            }
        }
    }

    fn thread_strand(&mut self, view: ThreadView) -> Strand {
        let python = &self.target.python;
        let pid = self.target.process.pid;
        let holds = locks::held(python, &view.frames);
        let waited = view.tid.and_then(|tid| locks::waited(python, &view.frames, || threads::activity(pid, tid)));
        let joins = view.tid.and_then(|tid| locks::joined(python, &view.frames, || threads::activity(pid, tid)));
        let name = self.names.of(view.state.ident);
        let mut still = false;
        if (waited.is_some() || joins.is_some())
            && let Some(now) = view.tid.and_then(|tid| Stillness::of(pid, tid))
            && let Some(known) = self.known.get_mut(&view.state.at)
        {
            still = known.stillness.is_some_and(|before| before.unbroken(now));
            known.stillness = Some(now);
        }
        Strand { joins, still, ..Strand::new(view, name, holds, waited) }
    }

    /// The suspended tasks, each with the thread that runs its loop.
    fn task_strands(&mut self, threads: &[Strand]) -> Vec<Strand> {
        let states: Vec<ThreadState> = threads.iter().map(|strand| strand.view.state).collect();
        let mut before = std::mem::take(&mut self.tasks_before);
        let mut strands = Vec::new();
        let interpreters = self.target.python.interpreters().unwrap_or_default();
        for interpreter in interpreters {
            let Ok(addresses) = self.target.task_addresses(interpreter, &states) else { continue };
            let (all, turn) = (addresses.len().max(1), self.task_turn);
            if all > MOST_TASKS {
                self.counts.left_out += (all - MOST_TASKS) as u64;
                self.task_turn = (turn + MOST_TASKS) % all;
            }
            for at in addresses.into_iter().cycle().skip(turn % all).take(all.min(MOST_TASKS)) {
                let Some(strand) = self.task_strand(at, threads, &mut before) else { continue };
                strands.push(strand);
            }
        }
        strands
    }

    fn task_strand(&mut self, at: RemoteAddr, threads: &[Strand], before: &mut TasksBefore) -> Option<Strand> {
        let Target { python, codes, .. } = &mut self.target;
        let layout = match self.task_layout {
            Some(layout) => layout,
            None => *self.task_layout.insert(python.learn_task_layout(at).ok()??),
        };
        let task = python.task(at, layout).ok()?;
        if task.frames.is_empty() {
            return None;
        }
        let ident = python.attribute(task.event_loop, "_thread_id").ok().flatten().and_then(|ident| python.ident(ident));
        let runner = threads.iter().find(|strand| ident == Some(strand.view.state.ident))?;
        let frames: Vec<Activation> = task.frames.iter().filter_map(|frame| strand::activation(python, codes, *frame)).collect();
        let chain = task.frames.clone();
        let view = ThreadView { state: runner.view.state, tid: runner.view.tid, frames, chain, head: Vec::new() };
        let holds = locks::held(python, &view.frames);
        let waited = locks::waited_by_task(python, &view.frames);
        let waits_for_task = (!task.waiter.is_null()).then_some(task.waiter);
        let places: Vec<(RemoteAddr, u32)> = view.frames.iter().map(|frame| (frame.frame.at, frame.offset)).collect();
        let still = before.remove(&at).is_some_and(|known| known == (task.waiter, places.clone()));
        self.tasks_before.insert(at, (task.waiter, places));
        let name = task.name.as_str().into();
        // A loop that is kept from running has its tasks stand where they do, too.
        let pid = self.target.process.pid;
        let rests = holds.iter().any(|hold| hold.by_task)
            && view.tid.is_some_and(|tid| locks::waits_for_others(threads::activity(pid, tid)));
        Some(Strand { task: Some(task), waits_for_task, still, rests, ..Strand::new(view, name, holds, waited) })
    }

    /// Names the locks that something may be said of: those of strands with windows, and those that last.
    fn name_locks(&mut self, strands: &[Strand]) {
        let python = &self.target.python;
        let mut locals = None;
        for strand in strands {
            let used = strand.holds.iter().map(|hold| hold.lock).chain(strand.waited.map(|waited| waited.lock));
            let of_nestings =
                |nesting: &Nesting| [nesting.outer.lock, nesting.inner.lock].into_iter().chain(nesting.gates.clone());
            for lock in used.chain(strand.nestings.iter().flat_map(of_nestings)) {
                if self.lock_names.contains_key(&lock) {
                    continue;
                }
                let looks = self.nameless.entry(lock).or_default();
                *looks += 1;
                // Most locks that nobody has named are made for one short wait.
                let matters = strand.is_of_interest() || strand.task.is_some() || *looks > 1;
                if !matters || *looks > NAME_TRIES {
                    continue;
                }
                let own = locks::name(python, &strand.view.frames, lock);
                let name = own.or_else(|| {
                    let frames = || strands.iter().flat_map(|strand| &strand.view.frames);
                    locals.get_or_insert_with(|| locks::Locals::read(python, frames())).name(lock)
                });
                if let Some(name) = name {
                    self.lock_names.insert(lock, name);
                }
            }
        }
    }
}

/// The kernel's id of a thread, or the one that the process itself knows.
fn tid_of(view: &ThreadView) -> Tid {
    Tid(view.tid.or(view.state.native).unwrap_or(0))
}
