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

use super::abandoned;
use super::behind;
use super::codes::KnownCode;
use super::dropped;
use super::emit::Emitter;
use super::found::{self, Strand};
use super::locks;
use super::names::ThreadNames;
use super::plain::Plainness;
use super::present::Presents;
use super::starting;
use super::strand::{self, Activation, ThreadView, TidMap};
use super::target::Target;
use super::verify;
use super::working;

/// What the samples of a session came to so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    pub samples: u64,
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
    /// Locks that no name was found for, and how often it was looked for.
    nameless: HashMap<RemoteAddr, u32>,
    plainness: Plainness,
    asked: dropped::Asked,
    looked: abandoned::Looks,
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
/// Looks in which the name of a lock is looked for in vain.
const NAME_TRIES: u32 = 4;

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
            plainness: Plainness::default(),
            asked: dropped::Asked::default(),
            looked: abandoned::Looks::default(),
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
                self.emitter.push(Tid(0), Event::Sample(Box::new(sample)));
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
        codes.refresh(python);
        self.lock_names.clear();
        self.nameless.clear();
        self.plainness.forget();
        self.asked.clear();
        self.looked.clear();
        self.names.forget();
    }

    fn sample(&mut self) -> Result<Sample, Fault> {
        // What is claimed is read again, all at one moment; for the rest each place is read once.
        self.target.python.memory.keep();
        let views = self.views()?;
        // Behind the frames: what lies in them is to be as old as they are, or newer.
        self.target.python.memory.foresee(&mut self.objects);
        self.announce_threads(&views);
        let mut strands: Vec<Strand> = views.into_iter().map(|view| self.thread_strand(view)).collect();
        let seen = strands.len();
        strands.extend(self.task_strands(&strands));
        self.counts.tasks = self.counts.tasks.max((strands.len() - seen) as u64);
        self.read(&mut strands);
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
        Ok(Sample { strands: states, seen: total, unread: u32::try_from(unread).unwrap_or(u32::MAX) })
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
        self.names.find(&self.target.python, views.iter().map(|view| &view.state));
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

    /// Names locks that are only known to local variables, of whatever function made them.
    fn name_locks(&mut self, strands: &[Strand]) {
        let python = &self.target.python;
        let mut locals = None;
        for strand in strands {
            let used = strand.holds.iter().map(|hold| hold.lock).chain(strand.waited.map(|waited| waited.lock));
            let used = used.chain(strand.nestings.iter().flat_map(|nesting| [nesting.outer.lock, nesting.inner.lock]));
            for lock in used {
                if self.lock_names.contains_key(&lock) || self.nameless.get(&lock).is_some_and(|tries| *tries >= NAME_TRIES) {
                    continue;
                }
                let own = locks::name(python, &strand.view.frames, lock);
                let name = own.or_else(|| {
                    let frames = || strands.iter().flat_map(|strand| &strand.view.frames);
                    locals.get_or_insert_with(|| locks::Locals::read(python, frames())).name(lock)
                });
                match name {
                    Some(name) => drop(self.lock_names.insert(lock, name)),
                    None => *self.nameless.entry(lock).or_default() += 1,
                }
            }
        }
    }

    /// Reads what the strands stand in and come to.
    fn read(&mut self, strands: &mut [Strand]) {
        let Target { python, codes, .. } = &mut self.target;
        for strand in strands.iter_mut() {
            found::read_windows(python, strand, |code| self.emitter.is_users(code));
            let frames = &strand.view.frames;
            strand.dropped = dropped::read_dropped(python, codes, &mut self.asked, frames, |code| self.emitter.is_users(code));
            let emitter = &self.emitter;
            if strand.task.is_some() {
                strand.abandoned =
                    abandoned::read_abandoned(python, &mut self.looked, &strand.view.frames, |code| emitter.is_users(code));
            }
            found::read_spans(python, codes, strand, |code| emitter.is_users(code));
            found::read_coming(python, codes, &mut self.plainness, strand, |code| emitter.is_users(code));
            behind::read_behind(python, codes, &mut self.plainness, strand, |code| emitter.is_users(code));
            working::read_working(python, codes, &mut self.plainness, strand, |code| emitter.is_users(code));
        }
        let emitter = &self.emitter;
        starting::read_rivals(python, codes, &mut self.plainness, strands, &|code: &KnownCode| emitter.is_users(code));
        found::keep_shared(self.target.process.pid, strands);
    }
}

/// The kernel's id of a thread, or the one that the process itself knows.
fn tid_of(view: &ThreadView) -> Tid {
    Tid(view.tid.or(view.state.native).unwrap_or(0))
}
