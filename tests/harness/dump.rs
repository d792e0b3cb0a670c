//! Reads of an interpreter whatever a look at it reads: threads, frames, code, values, locks, windows, tasks, names. What
//! comes out counts for nothing here; that it ends, and does not break on garbage, is what its callers look at.

use racetrace::collect::sampler::codes::Codes;
use racetrace::collect::sampler::reading::Reading;
use racetrace::collect::sampler::strand::{self, Activation, ThreadView, TidMap};
use racetrace::collect::sampler::{locks, subject};
use racetrace::cpython::code::Specialisation;
use racetrace::cpython::debug_offsets;
use racetrace::cpython::discovery::Runtime;
use racetrace::cpython::layout::Layout;
use racetrace::cpython::python::{Python, ThreadState};
use racetrace::cpython::task::{RemoteTask, TaskLists};
use racetrace::target::address::RemoteAddr;
use racetrace::target::memory::{Fault, Memory};
use racetrace::target::threads::Activity;

/// What was found: only to see that an undamaged process is really read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Found {
    pub threads: usize,
    pub frames: usize,
    pub windows: usize,
    pub held: usize,
    pub tasks: usize,
    pub names: usize,
    /// Threads and tasks that there is something to say of.
    pub told: usize,
}

/// The runtime as this memory describes it, which is asked anew: a damaged description gives damaged layouts.
pub fn described<M: Memory>(memory: &M, runtime: &Runtime) -> Runtime {
    let mut layout: Layout = runtime.layout.clone();
    if let Ok(Some(_)) = debug_offsets::preamble(memory, runtime.at) {
        let _ = debug_offsets::apply(memory, runtime.at, runtime.version.minor, &mut layout);
    }
    Runtime { at: runtime.at, version: runtime.version, layout, module: runtime.module.clone(), strategy: runtime.strategy }
}

/// # Errors
/// When nothing at all can be read.
pub fn everything<M: Memory>(python: &Python<M>, lists: Option<TaskLists>) -> Result<Found, Fault> {
    let mut found = Found::default();
    let mut codes = Codes::new(Specialisation::of(python.version));
    let views = strand::threads(python, &mut codes, &TidMap::default(), python.threads()?)?;
    found.threads = views.len();
    for view in &views {
        let _ = python.gil(view.state.interpreter.gil);
        frames(python, &view.frames, &mut found);
    }
    let mut seen: Vec<(ThreadView, Option<RemoteTask>)> = views.iter().map(|view| (view.clone(), None)).collect();
    let states: Vec<ThreadState> = views.iter().map(|view| view.state).collect();
    for interpreter in python.interpreters()? {
        found.names += python.thread_names(interpreter.at).map_or(0, |names| names.len());
        let addresses = python.task_addresses(interpreter, &states, lists).unwrap_or_default();
        let _ = python.current_tasks(interpreter.at);
        let tasks = tasks(python, &addresses, lists, &mut codes, &mut found);
        let Some(runner) = views.first() else { continue };
        seen.extend(tasks.into_iter().map(|(task, frames)| {
            let view = ThreadView { frames, chain: task.frames.clone(), head: Vec::new(), ..runner.clone() };
            (view, Some(task))
        }));
    }
    let mut reading = Reading::default();
    // A second time with what is remembered of the first.
    for _ in 0..2 {
        let waits = |view: &ThreadView| locks::waited(python, &view.frames, || ASLEEP);
        found.told = reading.count(python, &mut codes, &seen, waits)?;
    }
    let _ = (python.micro(), python.standard_library());
    codes.refresh(python);
    Ok(found)
}

/// A thread that sleeps for a lock: which one, is to be found out from its stack.
const ASLEEP: Activity = Activity::Waiting { call: 202, arguments: [0; 4], stack: 0 };

fn frames<M: Memory>(python: &Python<M>, frames: &[Activation], found: &mut Found) {
    found.frames += frames.len();
    found.held += locks::held(python, frames).len();
    if let Some(waited) = locks::waited(python, frames, || ASLEEP) {
        let _ = locks::name(python, frames, waited.lock);
    }
    let _ = locks::waited_by_task(python, frames);
    let _ = locks::joined(python, frames, || ASLEEP);
    let _ = locks::Locals::read(python, frames.iter()).name(RemoteAddr::NULL);
    for activation in frames {
        let site = activation.code.site(activation.offset);
        let _ = activation.line();
        for slot in python.slots(activation.frame.at, site.depth).unwrap_or_default() {
            value(python, slot);
        }
        let Some(plan) = activation.code.plan() else { continue };
        for watch in plan.watches.iter().take(64) {
            found.windows += usize::from(subject::of(python, activation, watch).is_some());
            let _ = subject::of_read(python, activation, watch);
        }
        let _ = python.module_name(activation.frame.globals);
    }
}

fn value<M: Memory>(python: &Python<M>, object: RemoteAddr) {
    let _ = python.show(object);
    let _ = python.callable(object);
    let _ = python.entered(object, object);
    let _ = python.lock_behind(object);
    let _ = python.walked(object);
    let _ = (python.unstarted(object), python.member(object, "_str"));
    let _ = python.attribute_entries(object);
    let _ = (python.derives_from(object, "nothing"), python.is_computed(object, "_lock"));
    let _ = (python.list_slot(object, 0), python.attribute_holding(object, object));
}

fn tasks<M: Memory>(
    python: &Python<M>,
    addresses: &[RemoteAddr],
    lists: Option<TaskLists>,
    codes: &mut Codes,
    found: &mut Found,
) -> Vec<(RemoteTask, Vec<Activation>)> {
    let learnt = addresses.first().and_then(|first| python.learn_task_layout(*first).ok().flatten());
    let Some(layout) = lists.map(|lists| lists.layout).or(learnt) else { return Vec::new() };
    let mut all = Vec::new();
    for at in addresses.iter().take(100) {
        let Ok(task) = python.task(*at, layout) else { continue };
        found.tasks += 1;
        let activations: Vec<Activation> =
            task.frames.iter().filter_map(|frame| strand::activation(python, codes, *frame)).collect();
        frames(python, &activations, found);
        all.push((task, activations));
    }
    all
}
