//! One look at the process: reads every thread and task, finds the windows they stand in, makes sure that what it read
//! belongs to one moment, and says it in events. Nothing of the target is written or stopped.

use std::collections::HashMap;
use std::time::Instant;

use crate::cpython::python::ThreadState;
use crate::cpython::task::{RemoteTask, TaskLayout};
use crate::event::sample::{Hold, OpenLoop, OpenWindow, Sample, StrandState, SubjectValue, Waits};
use crate::event::{Event, KeyId, ObjectId, ProcessInfo, Record, Shape, TaskId, Tid};
use crate::target::address::RemoteAddr;
use crate::target::memory::{Fault, Memory};
use crate::target::threads::{self, Stillness};

use super::emit::Emitter;
use super::locks::{self, HeldLock, WaitedLock};
use super::strand::{self, Activation, ThreadView, TidMap};
use super::subject::{self, Subject};
use super::target::Target;
use super::verify;

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
    emitter: Emitter,
    began: Instant,
    tids: TidMap,
    names: HashMap<u64, String>,
    lock_names: HashMap<RemoteAddr, String>,
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

/// A strand of this look, before it is said in events.
pub(super) struct Strand {
    pub view: ThreadView,
    pub task: Option<RemoteTask>,
    name: String,
    holds: Vec<HeldLock>,
    waited: Option<WaitedLock>,
    waits_for_task: Option<RemoteAddr>,
    pub open: Vec<Opening>,
    loops: Vec<Walk>,
    still: bool,
}

impl Strand {
    /// Is there something that has to be verified?
    pub fn is_of_interest(&self) -> bool {
        !self.open.is_empty() || !self.loops.is_empty()
    }

    /// The outermost frame with a window or loop.
    pub fn deepest(&self) -> Option<RemoteAddr> {
        let frames = self.open.iter().map(|opening| opening.frame).chain(self.loops.iter().map(|walk| walk.frame));
        self.view.frames.get(frames.max()?).map(|activation| activation.frame.at)
    }
}

/// A loop over a container whose size has changed.
struct Walk {
    frame: usize,
    /// Offset at which the loop asks for its next element.
    next: u32,
    container: RemoteAddr,
    began: u64,
    now: u64,
}

/// A window that a frame stands in, with the words that were read.
pub(super) struct Opening {
    pub frame: usize,
    window: u16,
    /// Offsets of the window's read and write.
    read: u32,
    write: u32,
    pub subject: Subject,
    pub held: Option<RemoteAddr>,
    pub now: Option<RemoteAddr>,
    /// The frame's locals: with them unchanged, it is about the same objects still.
    pub locals: Vec<RemoteAddr>,
}

/// How often names and code are looked up anew.
const REFRESH: std::time::Duration = std::time::Duration::from_millis(500);
/// Tasks looked at in one sample; the rest has its turn later.
const MOST_TASKS: usize = 2_000;

impl Sampler {
    pub fn new(target: Target) -> Sampler {
        let pid = target.process.pid;
        let now = Instant::now();
        let task_layout = target.task_lists.map(|lists| lists.layout);
        let mut sampler = Sampler {
            target,
            emitter: Emitter::default(),
            began: now,
            tids: TidMap::of(pid),
            names: HashMap::new(),
            lock_names: HashMap::new(),
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
        match self.sample() {
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
        let Target { process, python, codes, .. } = &mut self.target;
        self.refreshed = Instant::now();
        self.tids = TidMap::of(process.pid);
        python.forget_types();
        codes.refresh(python);
        self.lock_names.clear();
        self.names.clear();
        for interpreter in python.interpreters().unwrap_or_default() {
            self.names.extend(python.thread_names(interpreter.at).unwrap_or_default());
        }
    }

    fn sample(&mut self) -> Result<Sample, Fault> {
        let views = self.views()?;
        self.announce_threads(&views);
        let mut strands: Vec<Strand> = views.into_iter().map(|view| self.thread_strand(view)).collect();
        let seen = strands.len();
        strands.extend(self.task_strands(&strands));
        self.counts.tasks = self.counts.tasks.max((strands.len() - seen) as u64);
        self.read_windows(&mut strands);
        let sure = if strands.iter().any(Strand::is_of_interest) {
            verify::at_one_moment(&self.target.python, self.target.process.pid, &mut strands)?
        } else {
            vec![false; strands.len()]
        };
        let unsure = strands.iter().zip(&sure).filter(|(strand, sure)| strand.is_of_interest() && !**sure).count();
        self.counts.unsure += unsure as u64;
        let unread = strands.iter().filter(|strand| strand.view.frames.is_empty()).count();
        self.counts.unread += unread as u64;
        let total = u32::try_from(strands.len()).unwrap_or(u32::MAX);
        let states = strands.into_iter().zip(sure).filter_map(|(strand, verified)| self.say(strand, verified)).collect();
        Ok(Sample { strands: states, seen: total, unread: u32::try_from(unread).unwrap_or(u32::MAX) })
    }

    fn views(&mut self) -> Result<Vec<ThreadView>, Fault> {
        let Target { python, codes, .. } = &mut self.target;
        let views = strand::threads(python, codes, &self.tids)?;
        if views.iter().any(|view| view.tid.is_none() && view.state.native.is_some()) {
            self.tids = TidMap::of(self.target.process.pid);
        }
        Ok(views)
    }

    fn announce_threads(&mut self, views: &[ThreadView]) {
        let sample = self.counts.samples;
        for view in views {
            let tid = Tid(view.tid.or(view.state.native).unwrap_or(0));
            if let Some(known) = self.known.get_mut(&view.state.at).filter(|known| known.tid == tid) {
                known.seen = sample;
                continue;
            }
            let name = self.thread_name(&view.state);
            let name = self.emitter.text(&name);
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

    fn thread_name(&mut self, state: &ThreadState) -> String {
        if let Some(name) = self.names.get(&state.ident) {
            return name.clone();
        }
        let fresh = self.target.python.thread_names(state.interpreter.at).unwrap_or_default();
        self.names.extend(fresh);
        self.names.get(&state.ident).cloned().unwrap_or_else(|| "(unnamed)".to_owned())
    }

    fn thread_strand(&mut self, view: ThreadView) -> Strand {
        let python = &self.target.python;
        let pid = self.target.process.pid;
        let holds = locks::held(python, &view.frames);
        let waited = view.tid.and_then(|tid| locks::waited(python, &view.frames, || threads::activity(pid, tid)));
        let name = self.thread_name(&view.state);
        let mut still = false;
        if waited.is_some()
            && let Some(now) = view.tid.and_then(|tid| Stillness::of(pid, tid))
            && let Some(known) = self.known.get_mut(&view.state.at)
        {
            still = known.stillness.is_some_and(|before| before.unbroken(now));
            known.stillness = Some(now);
        }
        Strand { view, task: None, name, holds, waited, waits_for_task: None, open: Vec::new(), loops: Vec::new(), still }
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
        let name = task.name.clone();
        Some(Strand { view, task: Some(task), name, holds, waited, waits_for_task, open: Vec::new(), loops: Vec::new(), still })
    }

    fn read_windows(&self, strands: &mut [Strand]) {
        let python = &self.target.python;
        for strand in strands {
            for (index, activation) in strand.view.frames.iter().enumerate() {
                let site = activation.code.site(activation.offset);
                if site.windows.is_empty() && site.iterators.is_empty() {
                    continue;
                }
                for &window in &site.windows {
                    strand.open.extend(self.opening(activation, index, window));
                }
                for &(slot, next) in &site.iterators {
                    let Ok(slots) = python.slots_at(activation.frame.at, slot, 1) else { continue };
                    if let Some((container, began, now)) = slots.first().and_then(|iterator| python.walked(*iterator)) {
                        strand.loops.push(Walk { frame: index, next, container, began, now });
                    }
                }
            }
        }
    }

    fn opening(&self, activation: &Activation, frame: usize, window: u16) -> Option<Opening> {
        let python = &self.target.python;
        let plan = activation.code.plan()?;
        let planned = plan.windows.get(usize::from(window))?;
        let watch = plan.watches.iter().find(|watch| planned.reads.contains(&watch.offset))?;
        let locals = python.raw_slots(activation.frame.at, activation.locals()).ok()?;
        let subject = subject::of(python, activation, watch)?;
        let held = subject.carried.and_then(|slot| python.slots_at(activation.frame.at, slot, 1).ok()?.first().copied());
        let now = subject.slot.and_then(|slot| python.memory.pointer(slot).ok());
        Some(Opening {
            frame,
            window,
            read: watch.offset,
            write: planned.write,
            subject,
            held: held.filter(|at| !at.is_null()),
            now,
            locals,
        })
    }

    /// Says a strand in events, if there is anything to say.
    fn say(&mut self, strand: Strand, verified: bool) -> Option<StrandState> {
        let interesting = strand.waited.is_some()
            || !strand.holds.is_empty()
            || (verified && !(strand.open.is_empty() && strand.loops.is_empty()));
        if !interesting {
            return None;
        }
        let frames = &strand.view.frames;
        let stack = self.emitter.stack(&self.target.python, frames, 0);
        let name = self.emitter.text(&strand.name);
        let holds = strand.holds.iter().map(|held| self.say_hold(frames, held)).collect();
        let waits = match (strand.waited, strand.waits_for_task) {
            (Some(waited), _) => {
                let lock = self.say_lock(frames, waited.lock);
                Waits::Lock { lock, patience: waited.patience, by_task: waited.by_task }
            }
            (None, Some(task)) => Waits::Task(TaskId(task.0)),
            (None, None) => Waits::Nothing,
        };
        let mut windows = Vec::new();
        let mut loops = Vec::new();
        if verified {
            windows.extend(strand.open.iter().map(|opening| self.say_window(frames, opening)));
            for walk in &strand.loops {
                let stack = self.emitter.stack(&self.target.python, frames, walk.frame);
                let next = self.emitter.stack_at(&self.target.python, frames, walk.frame, walk.next);
                let type_name =
                    self.target.python.type_of(walk.container).map_or_else(|_| "dict".to_owned(), |class| class.name.clone());
                let shape = match type_name.as_str() {
                    "list" => Shape::List,
                    "set" => Shape::Set,
                    "collections.deque" => Shape::Deque,
                    _ => Shape::Dict,
                };
                let name = locks::name(&self.target.python, frames, walk.container);
                let object = self.emitter.object(walk.container, shape, &type_name, name.as_deref());
                loops.push(OpenLoop { stack, next, object, began: walk.began, now: walk.now });
            }
        }
        let thread = Tid(strand.view.tid.or(strand.view.state.native).unwrap_or(0));
        let task = strand.task.as_ref().map(|task| TaskId(task.at.0));
        Some(StrandState { thread, task, name, stack, still: strand.still, waits, holds, windows, loops })
    }

    fn say_hold(&mut self, frames: &[Activation], held: &HeldLock) -> Hold {
        let lock = self.say_lock(frames, held.lock);
        let stack = self.emitter.stack_at(&self.target.python, frames, held.frame, held.entered_at);
        Hold { lock, stack, by_task: held.by_task }
    }

    fn say_lock(&mut self, frames: &[Activation], lock: RemoteAddr) -> ObjectId {
        let name = match self.lock_names.get(&lock) {
            Some(name) => Some(name.clone()),
            None => locks::name(&self.target.python, frames, lock),
        };
        if let Some(name) = &name {
            self.lock_names.insert(lock, name.clone());
        }
        let type_name = self.target.python.type_of(lock).map_or_else(|_| "lock".to_owned(), |class| class.name.clone());
        self.emitter.object(lock, Shape::Lock, &type_name, name.as_deref())
    }

    fn say_window(&mut self, frames: &[Activation], opening: &Opening) -> OpenWindow {
        let python = &self.target.python;
        let subject = &opening.subject;
        let again = subject.slot.and_then(|slot| python.memory.pointer(slot).ok());
        let show = |at: RemoteAddr| python.show(at).ok();
        let value = match (opening.held, opening.now) {
            (Some(held), Some(now)) if held == now => SubjectValue::Current(self.emitter.value(held, show(held))),
            (Some(held), Some(now)) => {
                let old = show(held);
                // The new value is not ours to keep: it counts only if it is still there after it was read.
                let new = show(now).filter(|_| subject.slot.and_then(|slot| python.memory.pointer(slot).ok()) == Some(now));
                let equal = old.is_some() && old == new && !matches!(old, Some(crate::cpython::object::Shown::Object(_)));
                if equal || again.is_none_or(|again| again == held) {
                    SubjectValue::Unknown
                } else {
                    let held = self.emitter.value(held, old);
                    SubjectValue::Stale { held, now: self.emitter.value(now, new) }
                }
            }
            _ => SubjectValue::Unknown,
        };
        let stack = self.emitter.stack(python, frames, opening.frame);
        let read = self.emitter.stack_at(python, frames, opening.frame, opening.read);
        let write = self.emitter.stack_at(python, frames, opening.frame, opening.write);
        let object = self.emitter.object(subject.object, subject.shape, &subject.type_name, subject.label.as_deref());
        let key = subject.part.as_deref().map_or(KeyId::WHOLE, |part| self.emitter.key(part));
        OpenWindow { stack, read, write, window: opening.window, object, key, subject: value }
    }
}
