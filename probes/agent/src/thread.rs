//! What the agent keeps for each OS thread. Plain words in thread-local storage without destructors, so that it can be
//! used at any moment of a thread's life.

use std::cell::Cell;

thread_local! {
    static TID: Cell<u32> = const { Cell::new(0) };
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    static LOOPS: Cell<u32> = const { Cell::new(0) };
    static TASK: Cell<u64> = const { Cell::new(0) };
    static EAGER: Cell<u64> = const { Cell::new(0) };
    static KNOWN: Cell<u32> = const { Cell::new(0) };
    static EPOCH: Cell<u32> = const { Cell::new(1) };
    static HELD: Cell<([u32; HELD_MOST], u8)> = const { Cell::new(([0; HELD_MOST], 0)) };
}

const HELD_MOST: usize = 16;

/// The kernel's id of this thread.
#[inline(always)]
pub fn tid() -> u32 {
    TID.with(|tid| {
        if tid.get() == 0 {
            // SAFETY: gettid has no arguments and cannot fail.
            tid.set(unsafe { libc::syscall(libc::SYS_gettid) } as u32);
        }
        tid.get()
    })
}

/// In the child of a fork the surviving thread has another id, and is new to the new ring.
pub fn forget() {
    TID.with(|tid| tid.set(0));
    KNOWN.with(|known| known.set(0));
    TASK.with(|task| task.set(0));
}

/// Marks the thread as announced to the ring number `generation`. True the first time.
pub fn introduce(generation: u32) -> bool {
    KNOWN.with(|known| known.replace(generation) != generation)
}

pub fn is_new(generation: u32) -> bool {
    KNOWN.with(|known| known.get() != generation)
}

/// How many event loops run on this thread, one inside another.
#[inline(always)]
pub fn loops() -> u32 {
    LOOPS.with(Cell::get)
}

pub fn set_loops(count: u32) {
    LOOPS.with(|loops| loops.set(count));
}

/// Notes which task this thread runs (0: none). The one before.
#[inline(always)]
pub fn set_task(task: u64) -> u64 {
    TASK.with(|current| current.replace(task))
}

/// Notes the task that runs while it is being made (0: none). The one before.
pub fn set_eager(task: u64) -> u64 {
    EAGER.with(|eager| eager.replace(task))
}

pub fn eager() -> u64 {
    EAGER.with(Cell::get)
}

/// Runs `work` unless this thread is already inside the agent (a destructor that we caused, a callback of our own).
#[inline(always)]
pub fn outermost<R>(work: impl FnOnce() -> R) -> Option<R> {
    INSIDE.with(|inside| {
        if inside.replace(true) {
            return None;
        }
        // A panic of ours must not reach C; after one nothing that we know is sure, so nothing more is recorded.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        inside.set(false);
        if result.is_err() {
            crate::ring::abandon();
        }
        result.ok()
    })
}

/// Counts this thread's synchronisations.
#[inline(always)]
pub fn epoch() -> u32 {
    EPOCH.with(Cell::get)
}

pub fn next_epoch() {
    EPOCH.with(|epoch| epoch.set(epoch.get().wrapping_add(1)));
}

/// Notes that a cell of `recent` holds something of this thread back. False when no more can be noted.
pub fn hold(cell: u32) -> bool {
    HELD.with(|held| {
        let (mut cells, count) = held.get();
        let Some(free) = cells.get_mut(usize::from(count)) else { return false };
        *free = cell;
        held.set((cells, count + 1));
        true
    })
}

pub fn take_held(mut each: impl FnMut(u32)) {
    let (cells, count) = HELD.with(|held| held.replace(([0; HELD_MOST], 0)));
    cells.iter().take(usize::from(count)).for_each(|&cell| each(cell));
}
