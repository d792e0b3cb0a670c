//! Which strand is running: the thread, or the asyncio task whose outermost coroutine is on the stack.

use std::sync::atomic::{AtomicUsize, Ordering};

use racetrace_probes::wire::{Kind, Slot};

use crate::ffi::{Obj, field};
use crate::layout::Layout;
use crate::midway;
use crate::names::type_name;
use crate::object;
use crate::objects::type_info;
use crate::ring;
use crate::state::{self, Fixed};
use crate::thread::Thread;

const DEEPEST: usize = 512;
/// CO_COROUTINE, CO_ITERABLE_COROUTINE, CO_ASYNC_GENERATOR.
pub const COROUTINE_FLAGS: u32 = 0x80 | 0x100 | 0x200;
/// Above every thread id.
const TASK_STRAND: u64 = 1 << 40;

/// The running strand, as a word that tells strands of this process apart; says so when the thread has changed over to
/// another task. `frame` is the thread's innermost Python frame.
#[inline(always)]
pub fn strand(fixed: &Fixed, thread: &'static Thread, frame: Obj) -> u64 {
    if !thread.is_at_home(ring::generation()) {
        arrive(fixed, thread, frame);
    }
    if thread.loops() == 0 {
        return u64::from(thread.tid());
    }
    task_strand(fixed, thread, frame)
}

/// A thread that has not said anything yet, or of which not all is known.
#[cold]
fn arrive(fixed: &Fixed, thread: &'static Thread, frame: Obj) {
    if thread.is_new(ring::generation()) {
        midway::introduce(thread);
        crate::watch::activate(fixed);
    }
    if thread.unsettled.get() {
        midway::look(thread, frame);
    }
}

fn task_strand(fixed: &Fixed, thread: &'static Thread, frame: Obj) -> u64 {
    let layout = &fixed.layout;
    let task = match thread.eager() {
        0 => task_on(layout, thread, frame),
        eager => eager,
    };
    if thread.set_task(task) != task {
        thread.gave_way.set(false);
        let mut slot = ring::slot(Kind::TaskSwitch, thread.tid());
        slot.a = task;
        say(thread, slot);
    }
    if task == 0 { u64::from(thread.tid()) } else { TASK_STRAND | task }
}

/// A task's outermost coroutine as it was last found on the stack, and who ran it: as long as it is there, and has
/// not ended since, it is that task.
#[derive(Clone, Copy)]
pub struct Outermost {
    coroutine: Obj,
    frame: Obj,
    caller: Obj,
    instruction: usize,
    task: u64,
    era: u64,
}

impl Outermost {
    pub const NONE: Outermost = Outermost {
        coroutine: std::ptr::null_mut(),
        frame: std::ptr::null_mut(),
        caller: std::ptr::null_mut(),
        instruction: 0,
        task: 0,
        era: 0,
    };
}

/// How far from the top a coroutine is looked for that was found before.
const NEAR: usize = 16;

fn task_on(layout: &Layout, thread: &'static Thread, frame: Obj) -> u64 {
    let known = thread.outermost_coroutine.get();
    let mut at = frame;
    for _ in 0..NEAR {
        if at.is_null() {
            break;
        }
        let caller = layout.previous(at);
        if at == known.frame {
            let is_same = caller == known.caller && !caller.is_null() && layout.instruction(caller) == known.instruction;
            if is_same && state::with(|state, _| state.objects.era(known.coroutine)) == Some(known.era) {
                return known.task;
            }
            break;
        }
        at = caller;
    }
    let Some((coroutine, frame)) = outermost_coroutine(layout, frame) else { return 0 };
    let task = task_of(layout, coroutine);
    let caller = layout.previous(frame);
    if let Some(era) = state::with(|state, _| state.objects.era(coroutine))
        && task != 0
        && !caller.is_null()
    {
        let instruction = layout.instruction(caller);
        thread.outermost_coroutine.set(Outermost { coroutine, frame, caller, instruction, task, era });
    }
    task
}

/// A record about synchronisation: what was held back comes before it, and nothing after it repeats what was before.
pub fn say(thread: &'static Thread, slot: Slot) {
    thread.next_epoch();
    state::with(|state, layout| state.say(layout, thread, slot));
}

/// The coroutine, and its frame.
fn outermost_coroutine(layout: &Layout, frame: Obj) -> Option<(Obj, Obj)> {
    let coroutines = layout.frames(frame).take(DEEPEST).filter_map(|at| {
        let generator = layout.generator(at)?;
        // SAFETY: the flags of the frame's code object.
        let flags: u32 = unsafe { field(layout.code(at), layout.code_flags) };
        (flags & COROUTINE_FLAGS != 0).then_some((generator, at))
    });
    coroutines.last()
}

/// The id of the task that a coroutine is the outermost one of: that of the coroutine's lifetime.
pub fn task_of(layout: &Layout, coroutine: Obj) -> u64 {
    type_info(layout, layout.type_of(coroutine));
    state::with(|state, _| state.objects.identity(coroutine)).unwrap_or(0)
}

/// Is what a coroutine or asynchronous generator yields a value for who iterates over it? Such values are wrapped.
pub fn is_for_consumer(layout: &Layout, value: Obj) -> bool {
    /// The type of the last value that was none. The type of those that are is never freed, nor does another take its place.
    static OTHER: AtomicUsize = AtomicUsize::new(0);
    let class = layout.type_of(value);
    if value == object!(_Py_NoneStruct) || class as usize == OTHER.load(Ordering::Relaxed) {
        return false;
    }
    let is_wrapped = type_name(layout, class) == "async_generator_wrapped_value";
    if !is_wrapped {
        OTHER.store(class as usize, Ordering::Relaxed);
    }
    is_wrapped
}

/// The running thread's innermost Python frame.
pub fn current_frame(layout: &Layout) -> Obj {
    // SAFETY: called with a thread state attached, from a callback of the interpreter.
    layout.python_frame(layout.current_frame(unsafe { crate::ffi::PyThreadState_Get() }))
}
