//! Threads that were on their way before the agent came, into a process that runs already. What such a thread holds nobody
//! has said, and what it waits for it may be told unheard: so it is unsettled, and what it touches proves nothing, until
//! every function that it was in has been left, or was seen outside of its `with` blocks and takes no lock by itself.

use std::rc::Rc;

use racetrace_probes::wire::Kind;
use racetrace_probes::within;

use crate::ffi::{self, Obj};
use crate::hooks::{locks, threads, waiting};
use crate::layout::Layout;
use crate::state::{self, Fixed};
use crate::thread::{self, Thread};
use crate::{codes, coroutines, monitor, object, ring, tasks};

/// Threads and frames of each that are looked at; what is deeper is as good as left when the others are.
const MOST_THREADS: usize = 4096;
const DEEPEST: usize = 256;

/// Who was there.
#[derive(Default)]
pub struct Midway {
    threads: Vec<Present>,
    names: Vec<Named>,
}

/// A thread that was there.
struct Present {
    tstate: Obj,
    runs_loop: bool,
    /// What keeps it unsettled.
    frames: Vec<Stale>,
}

/// A thread as the program knows it.
struct Named {
    identity: u64,
    token: u64,
    name: String,
}

/// A function that it was in.
struct Stale {
    frame: Obj,
    code: Obj,
    /// Where it was, in the innermost function: there it may be waiting for something.
    waits_at: Option<u32>,
    /// By code unit; empty: everywhere.
    inside_with: Rc<[bool]>,
    /// It calls something by a name that takes locks.
    takes_locks: bool,
}

impl Stale {
    fn holds_nothing_at(&self, offset: u32) -> bool {
        let inside = self.inside_with.get(offset as usize / 2).copied().unwrap_or(true);
        self.waits_at != Some(offset) && !inside && !self.takes_locks
    }
}

/// Takes down who is there. `known` holds a tuple of tuples: the thread's identity, its name and its handle. Nothing is
/// recorded yet, and nobody moves from the look at the threads to the first record: it calls nothing that could let go of
/// the GIL.
pub fn take_down(fixed: &Fixed, known: Obj) {
    let names = named(&fixed.layout, known);
    let mut blocks = Blocks::default();
    // Kept until the end: it is by their addresses that code objects are known.
    let kept = codes_that_run(&fixed.layout);
    for &(code, globals) in &kept {
        if let Some(entry) = codes::learn(fixed, code, globals) {
            monitor::prepare(entry);
        }
        blocks.of(&fixed.layout, code);
    }
    let mut midway = Midway { names, ..Midway::default() };
    for tstate in threads_there() {
        let (frames, runs_loop) = frames_of(&fixed.layout, tstate, &mut blocks);
        midway.threads.push(Present { tstate, runs_loop, frames });
    }
    state::with(|state, _| state.midway = midway);
    // SAFETY: the references that `codes_that_run` took.
    kept.iter().flat_map(|&(code, globals)| [code, globals]).for_each(|object| unsafe { ffi::Py_DecRef(object) });
}

/// What is to be known of a code object: where its `with` blocks are, and whether it takes locks by itself.
#[derive(Default)]
struct Blocks(Vec<(Obj, Rc<[bool]>, bool)>);

impl Blocks {
    fn of(&mut self, layout: &Layout, code: Obj) -> (Rc<[bool]>, bool) {
        if let Some((_, inside, takes)) = self.0.iter().find(|(known, ..)| *known == code) {
            return (Rc::clone(inside), *takes);
        }
        let version = layout.version();
        let copy = codes::copy(layout, code);
        let inside = copy.as_ref().and_then(|copy| within::with_blocks(copy, version).ok()).unwrap_or_default();
        let takes = copy.is_none_or(|copy| copy.names.iter().any(|name| takes_locks(name)));
        let inside: Rc<[bool]> = inside.into();
        self.0.push((code, Rc::clone(&inside), takes));
        (inside, takes)
    }
}

fn threads_there() -> Vec<Obj> {
    let mut threads = Vec::new();
    let mut tstate = first_thread();
    while !tstate.is_null() && threads.len() < MOST_THREADS {
        threads.push(tstate);
        // SAFETY: a thread state of this interpreter, none of which can end now.
        tstate = unsafe { PyThreadState_Next(tstate) };
    }
    threads
}

/// Each code object that some thread runs, with the globals that it runs with: new references.
fn codes_that_run(layout: &Layout) -> Vec<(Obj, Obj)> {
    let mut found: Vec<(Obj, Obj)> = Vec::new();
    for tstate in threads_there() {
        for frame in layout.frames(innermost(layout, tstate)).take(DEEPEST) {
            let (code, globals) = (layout.code(frame), layout.globals(frame));
            if !found.iter().any(|(known, _)| *known == code) {
                // SAFETY: objects that a live frame refers to.
                unsafe { [code, globals].iter().for_each(|object| ffi::Py_IncRef(*object)) };
                found.push((code, globals));
            }
        }
    }
    found
}

/// A thread's innermost frame, but those of what has loaded us, which is gone before anything happens.
fn innermost(layout: &Layout, tstate: Obj) -> Obj {
    let mut frame = layout.python_frame(layout.current_frame(tstate));
    if tstate == running() && !frame.is_null() {
        let loader = layout.globals(frame);
        while !frame.is_null() && layout.globals(frame) == loader {
            frame = layout.previous(frame);
        }
    }
    frame
}

unsafe extern "C-unwind" {
    fn PyInterpreterState_ThreadHead(interpreter: Obj) -> Obj;
    fn PyThreadState_Next(tstate: Obj) -> Obj;
}

fn first_thread() -> Obj {
    // SAFETY: called with a thread state attached.
    unsafe { PyInterpreterState_ThreadHead(ffi::PyInterpreterState_Get()) }
}

fn running() -> Obj {
    // SAFETY: called with a thread state attached.
    unsafe { ffi::PyThreadState_Get() }
}

/// Gives each thread a token, by which whoever waits for its end will name it.
fn named(layout: &Layout, known: Obj) -> Vec<Named> {
    let mut names = Vec::new();
    if known.is_null() || layout.type_of(known) != object!(PyTuple_Type) {
        return names;
    }
    // SAFETY: tuples, as checked; items are borrowed and live as long as the arguments of the call that we are in.
    unsafe {
        for index in 0..ffi::PyTuple_Size(known) {
            let one = ffi::PyTuple_GetItem(known, index);
            if layout.type_of(one) != object!(PyTuple_Type) || ffi::PyTuple_Size(one) != 3 {
                continue;
            }
            let [identity, name, handle] = [0, 1, 2].map(|index| ffi::PyTuple_GetItem(one, index));
            let (identity, token) = (ffi::PyLong_AsLongLong(identity) as u64, threads::new_token());
            if !ffi::PyErr_Occurred().is_null() {
                ffi::PyErr_Clear();
            }
            threads::remember(handle, token);
            if layout.minor < 13 {
                locks::mark_sentinel(handle);
            }
            names.push(Named { identity, token, name: crate::names::utf8(name).unwrap_or_default().to_owned() });
        }
    }
    names
}

/// The functions that a thread is in, and whether one of them is an event loop.
fn frames_of(layout: &Layout, tstate: Obj, blocks: &mut Blocks) -> (Vec<Stale>, bool) {
    let mut frames = Vec::new();
    let mut runs_loop = false;
    for frame in layout.frames(innermost(layout, tstate)).take(DEEPEST) {
        let code = layout.code(frame);
        let entry = state::with(|state, _| state.codes.entry(code)).flatten();
        runs_loop |= entry.is_some_and(|it| it.module == "asyncio.base_events" && it.qualname == "BaseEventLoop.run_forever");
        let (inside_with, takes_locks) = blocks.of(layout, code);
        let waits_at = frames.is_empty().then(|| layout.offset(frame, code));
        frames.push(Stale { frame, code, waits_at, inside_with, takes_locks });
    }
    (frames, runs_loop)
}

fn takes_locks(name: &str) -> bool {
    name.contains("acquire") || matches!(name, "__enter__" | "enter_context" | "lockf" | "flock")
}

/// The thread speaks for the first time: as one that was there, or as one that nobody has seen begin.
#[cold]
pub fn introduce(thread: &'static Thread) {
    // SAFETY: takes nothing, gives the thread's identity.
    let (own, identity) = (running(), unsafe { libc::pthread_self() } as u64);
    let found = state::with(|state, _| {
        let runs_loop = state.midway.threads.iter().find(|present| present.tstate == own)?.runs_loop;
        let names = &mut state.midway.names;
        let named = names.iter().position(|named| named.identity == identity).map(|at| names.swap_remove(at));
        Some((runs_loop, named))
    });
    let Some((runs_loop, named)) = found.flatten() else { return threads::introduce(0, "") };
    match named {
        Some(named) => threads::introduce(named.token, &named.name),
        None => threads::introduce(threads::own_token(), &format!("thread {}", thread.tid())),
    }
    if runs_loop {
        thread::set_loops(1);
        coroutines::track_origins();
        waiting::say_waited(0);
    }
    thread.unsettled.set(true);
    tasks::say(thread, ring::slot(Kind::Unsettled, thread.tid()));
}

/// A thread begins that was not there, perhaps in the place of one that was.
pub fn begins() {
    forget(running());
}

fn forget(tstate: Obj) {
    state::with(|state, _| state.midway.threads.retain(|present| present.tstate != tstate));
}

/// A function is entered: what was there in its place has been left. Is some thread still in that code?
pub fn entered(layout: &Layout, frame: Obj, code: Obj) -> bool {
    if layout.generator(frame).is_some() {
        return false;
    }
    let still = state::with(|state, _| {
        let threads = &mut state.midway.threads;
        if threads.is_empty() {
            return false;
        }
        let own = running();
        if let Some(present) = threads.iter_mut().find(|present| present.tstate == own) {
            present.frames.retain(|stale| stale.frame != frame);
        }
        threads.iter().any(|present| present.frames.iter().any(|stale| stale.code == code))
    });
    still == Some(true)
}

/// Looks whether the thread, which runs `frame`, has left behind what it was in.
#[cold]
pub fn look(thread: &'static Thread, frame: Obj) {
    let own = running();
    let settled = state::with(|state, layout| {
        let Some(present) = state.midway.threads.iter_mut().find(|present| present.tstate == own) else { return true };
        present.frames.retain(|stale| is_on_stack(layout, frame, stale).is_some_and(|offset| !stale.holds_nothing_at(offset)));
        present.frames.is_empty()
    });
    if settled == Some(true) {
        forget(own);
        thread.unsettled.set(false);
        tasks::say(thread, ring::slot(Kind::Settled, thread.tid()));
    }
}

/// Where the function is by now, if it is still there.
fn is_on_stack(layout: &Layout, innermost: Obj, stale: &Stale) -> Option<u32> {
    let there = layout.frames(innermost).any(|frame| frame == stale.frame) && layout.code(stale.frame) == stale.code;
    there.then(|| layout.offset(stale.frame, stale.code))
}
