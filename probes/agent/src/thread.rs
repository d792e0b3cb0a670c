//! What the agent keeps for each OS thread: plain words that can be used at any moment of a thread's life. They outlive the
//! thread and go to a later one. It does not know which strand a thread runs.

use std::cell::{Cell, UnsafeCell};
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};

use crate::codes::Entry;
use crate::ffi::Obj;
use crate::holders::Pending;
use crate::tasks::Outermost;

/// Cells of `recent` in which a thread may hold something back.
pub const HELD_MOST: usize = 64;
const CODES: usize = 16;

pub struct Thread {
    /// The thread's own pointer, while it may be found by it in `NEAR`; else 0.
    pointer: AtomicUsize,
    tid: Cell<u32>,
    inside: Cell<bool>,
    loops: Cell<u32>,
    task: Cell<u64>,
    eager: Cell<u64>,
    known: Cell<u32>,
    epoch: Cell<u32>,
    /// The highest epoch so far: one that was gone back from is not given out again.
    last_epoch: Cell<u32>,
    /// 3.11: the program's own trace function in this thread.
    pub other_tracer: Cell<usize>,
    /// How many callbacks that other threads gave to event loops it has taken note of.
    pub handed_over: Cell<u64>,
    pub outermost_coroutine: Cell<Outermost>,
    /// Nanoseconds that its event loop had nothing to do, and that were not told yet.
    pub waited: Cell<u64>,
    /// Nobody has said what it holds (see `midway`).
    pub unsettled: Cell<bool>,
    /// A task gave way, and no other strand was seen to run since.
    pub gave_way: Cell<bool>,
    /// The channel that was observed last, by which task, and how many signals there had been.
    pub observed: Cell<(u64, u64, u64)>,
    /// The code object that was looked up last, and others before it.
    code: Cell<(Obj, Option<&'static Entry>)>,
    codes: [Cell<(Obj, Option<&'static Entry>)>; CODES],
    /// Locks that it holds and that the ring was told of.
    pub holding: Cell<u32>,
    /// Places in semaphores, and locks of event loops, that it took and did not give back itself.
    pub semaphores: Cell<u32>,
    /// A lock that it holds and that the ring was not told of yet.
    pub pending: Cell<Option<Pending>>,
    /// Only touched inside the gate.
    held: UnsafeCell<HeldBack>,
    /// The next one in the list of those without a thread.
    next: AtomicPtr<Thread>,
}

struct HeldBack {
    cells: [u32; HELD_MOST],
    count: usize,
}

// SAFETY: other threads only touch `pending`, `holding` and `held`, inside the gate.
unsafe impl Sync for Thread {}

thread_local! {
    static CURRENT: Cell<*const Thread> = const { Cell::new(std::ptr::null()) };
    /// It has been told of this thread's end: who takes over its memory next would not be told apart by its pointer.
    static ENDING: Cell<bool> = const { Cell::new(false) };
}

/// Threads by their thread pointers: a library that is loaded late has to ask the loader for its thread-local variables
/// each time, which takes as long as everything else that is done for a redundant access.
static NEAR: [AtomicPtr<Thread>; NEAR_PLACES] = [const { AtomicPtr::new(null_mut()) }; NEAR_PLACES];
const NEAR_PLACES: usize = 1 << 8;

/// Those whose threads have ended.
static FREE: AtomicPtr<Thread> = AtomicPtr::new(null_mut());
static ENDS: AtomicU32 = AtomicU32::new(u32::MAX);

/// This thread's.
#[inline(always)]
pub fn current() -> &'static Thread {
    let pointer = thread_pointer();
    // SAFETY: what is put there is never freed.
    match unsafe { near(pointer).load(Ordering::Acquire).as_ref() } {
        Some(thread) if pointer != 0 && thread.pointer.load(Ordering::Relaxed) == pointer => thread,
        _ => current_from_loader(pointer),
    }
}

#[cold]
fn current_from_loader(pointer: usize) -> &'static Thread {
    let current = CURRENT.with(Cell::get);
    // SAFETY: set in `begin`, to one that is never freed.
    let thread = unsafe { current.as_ref() }.unwrap_or_else(|| begin());
    if thread.pointer.load(Ordering::Relaxed) == pointer {
        near(pointer).store(std::ptr::from_ref(thread).cast_mut(), Ordering::Release);
    }
    thread
}

#[inline(always)]
fn near(pointer: usize) -> &'static AtomicPtr<Thread> {
    // Control blocks lie whole stacks apart, of pages that come with an odd one as a guard.
    &NEAR[(pointer >> 12) % NEAR_PLACES]
}

/// What tells the running thread from the others of the process, as the ABI has it in a register; 0 where that is not known.
#[inline(always)]
fn thread_pointer() -> usize {
    #[cfg(target_arch = "x86_64")]
    {
        let pointer;
        // SAFETY: the ABI of x86-64 has the thread control block's own address at its start.
        unsafe { std::arch::asm!("mov {}, fs:[0]", out(reg) pointer, options(nostack, preserves_flags, readonly, pure)) };
        pointer
    }
    #[cfg(target_arch = "aarch64")]
    {
        let pointer;
        // SAFETY: reads a register that user code may read.
        unsafe { std::arch::asm!("mrs {}, tpidr_el0", out(reg) pointer, options(nostack, preserves_flags, nomem, pure)) };
        pointer
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    0
}

/// Asks to be told of the ends of threads. Called once, before any hook is in place.
pub fn start() {
    let mut key = 0;
    // SAFETY: makes a key with a destructor of ours, which stays loaded.
    if unsafe { libc::pthread_key_create(&raw mut key, Some(ended)) } == 0 {
        ENDS.store(key, Ordering::Release);
    }
}

#[cold]
fn begin() -> &'static Thread {
    let thread = take_free().unwrap_or_else(|| {
        Box::leak(Box::new(Thread {
            pointer: AtomicUsize::new(0),
            tid: Cell::new(0),
            inside: Cell::new(false),
            loops: Cell::new(0),
            task: Cell::new(0),
            eager: Cell::new(0),
            known: Cell::new(0),
            epoch: Cell::new(1),
            last_epoch: Cell::new(1),
            other_tracer: Cell::new(0),
            handed_over: Cell::new(0),
            outermost_coroutine: Cell::new(Outermost::NONE),
            waited: Cell::new(0),
            unsettled: Cell::new(false),
            gave_way: Cell::new(false),
            observed: Cell::new((0, 0, 0)),
            code: Cell::new((null_mut(), None)),
            codes: [const { Cell::new((null_mut(), None)) }; CODES],
            holding: Cell::new(0),
            semaphores: Cell::new(0),
            pending: Cell::new(None),
            held: UnsafeCell::new(HeldBack { cells: [0; HELD_MOST], count: 0 }),
            next: AtomicPtr::new(null_mut()),
        }))
    });
    // SAFETY: gettid has no arguments and cannot fail.
    thread.tid.set(unsafe { libc::syscall(libc::SYS_gettid) } as u32);
    thread.next_epoch();
    CURRENT.with(|current| current.set(thread));
    let key = ENDS.load(Ordering::Acquire);
    if key != u32::MAX {
        // SAFETY: our own key; the value is never freed.
        let told = unsafe { libc::pthread_setspecific(key, (&raw const *thread).cast()) } == 0;
        if told && !ENDING.with(Cell::get) {
            thread.pointer.store(thread_pointer(), Ordering::Relaxed);
        }
    }
    thread
}

/// The whole list is taken and the rest put back: so nobody can have taken away what is looked at.
fn take_free() -> Option<&'static Thread> {
    // SAFETY: the list holds leaked ones, and is ours alone now.
    let first = unsafe { FREE.swap(null_mut(), Ordering::AcqRel).as_ref() }?;
    let mut rest = first.next.swap(null_mut(), Ordering::AcqRel);
    // SAFETY: as above.
    while let Some(thread) = unsafe { rest.as_ref() } {
        rest = thread.next.swap(null_mut(), Ordering::AcqRel);
        give_back(thread);
    }
    Some(first)
}

fn give_back(thread: &'static Thread) {
    let mut head = FREE.load(Ordering::Acquire);
    loop {
        thread.next.store(head, Ordering::Release);
        let place = std::ptr::from_ref(thread).cast_mut();
        match FREE.compare_exchange_weak(head, place, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return,
            Err(other) => head = other,
        }
    }
}

/// The thread ends. What locks still name as their holder is not used again.
unsafe extern "C" fn ended(thread: *mut c_void) {
    CURRENT.with(|current| current.set(std::ptr::null()));
    ENDING.with(|ending| ending.set(true));
    // SAFETY: what `begin` stored.
    let Some(thread) = (unsafe { thread.cast::<Thread>().as_ref() }) else { return };
    thread.pointer.store(0, Ordering::Relaxed);
    for count in [&thread.task, &thread.eager, &thread.handed_over, &thread.waited] {
        count.set(0);
    }
    thread.other_tracer.set(0);
    thread.gave_way.set(false);
    thread.unsettled.set(false);
    thread.observed.set((0, 0, 0));
    thread.outermost_coroutine.set(Outermost::NONE);
    for count in [&thread.loops, &thread.known, &thread.semaphores] {
        count.set(0);
    }
    thread.inside.set(false);
    // SAFETY: the thread's own; whoever else flushes it does so for what is in it.
    let holds_back = unsafe { (*thread.held.get()).count } > 0;
    if thread.holding.get() == 0 && thread.pending.get().is_none() && !holds_back {
        give_back(thread);
    }
}

impl Thread {
    #[inline(always)]
    pub fn tid(&self) -> u32 {
        self.tid.get()
    }

    #[inline(always)]
    pub fn is_new(&self, generation: u32) -> bool {
        self.known.get() != generation
    }

    /// Is there nothing to be done before it says something?
    #[inline(always)]
    pub fn is_at_home(&self, generation: u32) -> bool {
        self.known.get() == generation && !self.unsettled.get()
    }

    /// The task that it runs (0: none), as it was said last.
    #[inline(always)]
    pub fn task(&self) -> u64 {
        self.task.get()
    }

    /// Notes which task it runs. The one before.
    #[inline(always)]
    pub fn set_task(&self, task: u64) -> u64 {
        self.task.replace(task)
    }

    /// The task that runs while it is being made (0: none).
    #[inline(always)]
    pub fn eager(&self) -> u64 {
        self.eager.get()
    }

    /// How many event loops run on this thread, one inside another.
    #[inline(always)]
    pub fn loops(&self) -> u32 {
        self.loops.get()
    }

    /// Counts this thread's synchronisations.
    #[inline(always)]
    pub fn epoch(&self) -> u32 {
        self.epoch.get()
    }

    #[inline(always)]
    pub fn next_epoch(&self) {
        let next = self.last_epoch.get().wrapping_add(1);
        self.last_epoch.set(next);
        self.epoch.set(next);
    }

    /// Back to an earlier epoch: what began the present one has turned out to be nothing.
    #[inline(always)]
    pub fn back_to_epoch(&self, epoch: u32) {
        self.epoch.set(epoch);
    }

    /// A code object's entry, found anew by `find` unless it was not long ago.
    #[inline(always)]
    pub fn entry(&self, code: Obj, find: impl FnOnce() -> Option<&'static Entry>) -> Option<&'static Entry> {
        match self.code.get() {
            (known, Some(entry)) if known == code => Some(entry),
            _ => self.entry_before(code, find),
        }
    }

    fn entry_before(&self, code: Obj, find: impl FnOnce() -> Option<&'static Entry>) -> Option<&'static Entry> {
        let place = &self.codes[(code as usize >> 4 ^ code as usize >> 8) % CODES];
        let found = match place.get() {
            (known, Some(entry)) if known == code => Some(entry),
            _ => find(),
        };
        place.set((code, found));
        self.code.set((code, found));
        found
    }

    /// Runs `work` unless this thread is already inside the agent (a destructor that we caused, a callback of our own).
    #[inline(always)]
    pub fn outermost<R>(&self, work: impl FnOnce() -> R) -> Option<R> {
        if self.inside.replace(true) {
            return None;
        }
        // A panic of ours must not reach C; after one nothing that we know is sure, so nothing more is recorded.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        self.inside.set(false);
        if result.is_err() {
            crate::ring::abandon();
        }
        result.ok()
    }

    /// Notes that a cell of `recent` holds something of this thread back. False when no more can be noted.
    ///
    /// # Safety
    /// Called inside the gate.
    #[inline]
    pub unsafe fn hold_back(&self, cell: u32) -> bool {
        // SAFETY: said by the caller.
        let held = unsafe { &mut *self.held.get() };
        let Some(free) = held.cells.get_mut(held.count) else { return false };
        *free = cell;
        held.count += 1;
        true
    }

    /// The notes of `hold_back`.
    ///
    /// # Safety
    /// Called inside the gate, and not kept beyond it.
    #[inline]
    pub unsafe fn held_back(&self) -> &[u32] {
        // SAFETY: said by the caller.
        let held = unsafe { &*self.held.get() };
        held.cells.get(..held.count).unwrap_or_default()
    }

    /// Takes the notes of `hold_back` away.
    ///
    /// # Safety
    /// Called inside the gate.
    #[inline]
    pub unsafe fn take_held_back(&self, mut each: impl FnMut(u32)) {
        // SAFETY: said by the caller.
        let held = unsafe { &mut *self.held.get() };
        held.cells.iter().take(held.count).for_each(|&cell| each(cell));
        held.count = 0;
    }
}

/// The kernel's id of this thread.
#[inline(always)]
pub fn tid() -> u32 {
    current().tid()
}

/// In the child of a fork the surviving thread has another id, and is new to the new ring.
pub fn forget() {
    let thread = current();
    // Threads to come may lie where the parent's others were.
    NEAR.iter().for_each(|near| near.store(null_mut(), Ordering::Release));
    // SAFETY: gettid has no arguments and cannot fail.
    thread.tid.set(unsafe { libc::syscall(libc::SYS_gettid) } as u32);
    thread.known.set(0);
    thread.task.set(0);
    thread.holding.set(0);
    thread.semaphores.set(0);
    thread.pending.set(None);
    // SAFETY: there is no other thread.
    unsafe { thread.take_held_back(|_| {}) };
}

/// Marks the thread as announced to the ring number `generation`. True the first time.
pub fn introduce(generation: u32) -> bool {
    current().known.replace(generation) != generation
}

pub fn set_loops(count: u32) {
    current().loops.set(count);
}

/// Notes the task that runs while it is being made (0: none). The one before.
pub fn set_eager(task: u64) -> u64 {
    current().eager.replace(task)
}

#[inline(always)]
pub fn outermost<R>(work: impl FnOnce() -> R) -> Option<R> {
    current().outermost(work)
}
