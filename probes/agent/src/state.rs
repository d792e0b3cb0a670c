//! The agent's one mutable state and the gate to it. On builds with a GIL the GIL is the gate; on free-threaded builds
//! a spin lock is. Inside the gate nothing is called that may run Python code, free objects or wait for a thread.

use std::cell::UnsafeCell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use racetrace_probes::wire::Slot;

use crate::codes::Codes;
use crate::holders;
use crate::hooks::locks::Kept;
use crate::iteration::Iterations;
use crate::layout::Layout;
use crate::midway::Midway;
use crate::names::Names;
use crate::objects::Objects;
use crate::recent::Recent;
use crate::ring;
use crate::stacks::Stacks;
use crate::table::Table;
use crate::thread::{self, Thread};
use crate::variables::Variables;

pub struct State {
    pub names: Names,
    pub objects: Objects,
    pub stacks: Stacks,
    pub codes: Codes,
    pub recent: Recent,
    pub iterations: Iterations,
    pub variables: Variables,
    /// Tokens of threads, by the object whose state says that the thread has ended.
    pub threads: Table,
    /// What the standard library's functions under way were called on, by their frames.
    pub calls: Table,
    /// Ids of tasks that have not ended, by their task objects.
    pub tasks: Table,
    /// Locks that the single strand holds.
    pub kept: Vec<Kept>,
    /// Locks, each with who holds it (see `holders`).
    pub locks: Table,
    /// Threads that were there before the agent came.
    pub midway: Midway,
    /// Descriptors and inodes of file objects.
    pub files: Table,
    pub inodes: Table,
    /// Files whose paths were said, by inode.
    pub named_files: Table,
    /// Lists, deques and sets into which objects were put that somebody had touched.
    pub lenders: Table,
}

/// What is fixed from the start on.
pub struct Fixed {
    pub layout: Layout,
    pub session: String,
    /// Directories of third-party packages, and of the standard library.
    pub libraries: Vec<String>,
    pub standard: Vec<String>,
    /// By which process, where the program ran already when the agent came: it is not held up, and left as it was.
    pub joined_by: Option<u32>,
    /// Installed packages that are to be watched like the program's own code.
    pub watched: Vec<String>,
}

impl Fixed {
    pub fn is_joined(&self) -> bool {
        self.joined_by.is_some()
    }
}

struct Gate {
    held: AtomicBool,
    /// The thread that holds it, by its place in memory.
    owner: AtomicUsize,
    state: UnsafeCell<Option<State>>,
}

// SAFETY: `state` is only touched in `with`, under the GIL or the spin lock, and not re-entrantly.
unsafe impl Sync for Gate {}

static GATE: Gate = Gate { held: AtomicBool::new(false), owner: AtomicUsize::new(0), state: UnsafeCell::new(None) };
/// What is done inside the gate is over in fewer, unless its thread does not run.
const SPINS: u32 = 256;
static FIXED: OnceLock<Fixed> = OnceLock::new();

pub fn fixed() -> Option<&'static Fixed> {
    FIXED.get()
}

/// Sets the state up. False when it was set up before.
pub fn start(fixed: Fixed) -> bool {
    if FIXED.set(fixed).is_err() {
        return false;
    }
    thread::start();
    // SAFETY: called once, by the thread that loads the agent, before any hook is in place.
    unsafe {
        *GATE.state.get() = Some(State {
            names: Names::new(),
            objects: Objects::new(),
            stacks: Stacks::new(),
            codes: Codes::new(),
            recent: Recent::new(),
            iterations: Iterations::new(),
            variables: Variables::new(),
            threads: Table::new(1 << 14),
            calls: Table::new(1 << 14),
            tasks: Table::new(1 << 17),
            kept: Vec::new(),
            locks: Table::new(1 << 17),
            midway: Midway::default(),
            files: Table::new(1 << 13),
            inodes: Table::new(1 << 13),
            named_files: Table::new(1 << 13),
            lenders: Table::new(1 << 12),
        });
    }
    true
}

/// Gives the state's memory back; nothing is noted any more. Called with the GIL.
pub fn end() {
    // SAFETY: exclusive by the GIL, as in `with`; not called from inside the gate.
    unsafe { *GATE.state.get() = None };
}

impl State {
    /// Before a thread says anything that others are measured by: what was held back comes first, and the lock that it
    /// holds without the ring knowing.
    #[inline]
    pub fn settle(&mut self, layout: &Layout, thread: &'static Thread) {
        self.recent.flush_thread(thread);
        if thread.pending.get().is_some() {
            holders::tell_pending(self, layout, thread);
        }
    }

    /// The same, and then the record.
    #[inline]
    pub fn say(&mut self, layout: &Layout, thread: &'static Thread, slot: Slot) {
        self.settle(layout, thread);
        ring::push(slot);
    }
}

/// Runs `work` with the state. `None` when the agent is not started.
#[inline(always)]
pub fn with<R>(work: impl FnOnce(&mut State, &Layout) -> R) -> Option<R> {
    within(FIXED.get()?, work)
}

/// The same where what is fixed is at hand.
#[inline(always)]
pub fn within<R>(fixed: &Fixed, work: impl FnOnce(&mut State, &Layout) -> R) -> Option<R> {
    if !enter(fixed) {
        return None;
    }
    // SAFETY: exclusive by the gate; `work` does not come back here (module rule).
    let result = unsafe { (*GATE.state.get()).as_mut().map(|state| work(state, &fixed.layout)) };
    leave(fixed);
    result
}

/// Runs `work` inside the gate, also when the state has gone.
pub fn alone<R>(work: impl FnOnce() -> R) -> Option<R> {
    let fixed = FIXED.get()?;
    if !enter(fixed) {
        return None;
    }
    let result = work();
    leave(fixed);
    Some(result)
}

/// Takes the gate: it is the GIL, or a spin lock. False where this thread is inside already.
#[inline(always)]
fn enter(fixed: &Fixed) -> bool {
    if fixed.layout.free_threaded {
        let own = std::ptr::from_ref(crate::thread::current()) as usize;
        let mut spins = 0u32;
        while GATE.held.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
            // A look-up inside has freed an object whose end is noted: it would wait for itself.
            if GATE.owner.load(Ordering::Relaxed) == own {
                return false;
            }
            spins += 1;
            if spins.is_multiple_of(SPINS) {
                // Whoever is inside may have lost its processor to us.
                // SAFETY: takes nothing, touches nothing.
                unsafe { libc::sched_yield() };
            }
            std::hint::spin_loop();
        }
        GATE.owner.store(own, Ordering::Relaxed);
    }
    true
}

#[inline(always)]
fn leave(fixed: &Fixed) {
    if fixed.layout.free_threaded {
        GATE.owner.store(0, Ordering::Relaxed);
        GATE.held.store(false, Ordering::Release);
    }
}

/// In the child of a fork: no other thread is left that could hold the gate.
pub fn reset_gate() {
    GATE.owner.store(0, Ordering::Relaxed);
    GATE.held.store(false, Ordering::Release);
}
