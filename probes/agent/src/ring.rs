//! The producer's side of the shared memory (see `racetrace_probes::wire`). It knows no Python, and gives way: when the
//! consumer is gone or the file cannot be had, recording stops and the program goes on.

use std::ffi::CString;
use std::ptr::{addr_of_mut, null_mut};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};

use racetrace_probes::wire::{self, BLOB_BYTES, BLOB_MAX, FILE_BYTES, Full, HEADER_BYTES, Header, Kind, SLOT_BYTES, SLOTS, Slot};

/// The mapped file, or null while nothing is recorded.
static MAP: AtomicPtr<u8> = AtomicPtr::new(null_mut());
/// The same, where records are written to: also while a process is being joined, when there are definitions only.
static OUT: AtomicPtr<u8> = AtomicPtr::new(null_mut());
/// The same, also when nothing is recorded any more.
static OPENED: AtomicPtr<u8> = AtomicPtr::new(null_mut());
static NUMBER: AtomicU32 = AtomicU32::new(0);
/// A forked child has not made its own file yet.
static PENDING: AtomicBool = AtomicBool::new(false);

/// Records were dropped since the last one that was written; they are counted in the header.
static HOLE: AtomicBool = AtomicBool::new(false);

/// How long a full ring may go without any sign of life before the consumer's process is looked for.
const WAIT_NS: i64 = 2_000_000;
const SILENT_WAITS: u32 = 1000;
/// The same where the program is not to be held up.
const SHORT_WAITS: u32 = 100;
/// How often a process that was joined asks whether anybody takes its records, in ticks: about once a second.
const LOOKED_AFTER: u64 = 1 << 31;
/// When it asks next, and the heartbeat of the last time. Never, while a program is run: it waits for room instead.
static LOOK_AT: AtomicU64 = AtomicU64::new(u64::MAX);
static BEAT: AtomicU64 = AtomicU64::new(u64::MAX);

/// Is anything recorded? In a forked child this makes its file, at the first occasion outside of the agent's gate.
#[inline(always)]
pub fn recording() -> bool {
    if !MAP.load(Ordering::Relaxed).is_null() {
        return true;
    }
    if PENDING.load(Ordering::Relaxed) && PENDING.swap(false, Ordering::AcqRel) {
        crate::start::make_ring();
        return !MAP.load(Ordering::Relaxed).is_null();
    }
    false
}

/// In the child of a fork: the file in use is the parent's.
pub fn leave_to_parent() {
    if !MAP.load(Ordering::Relaxed).is_null() {
        abandon();
        PENDING.store(true, Ordering::Release);
    }
}

/// Counts the files: a thread has to be introduced to each.
pub fn generation() -> u32 {
    NUMBER.load(Ordering::Relaxed)
}

/// Makes this process's ring in `session`/rings. A process that was joined, which says by whom, is not held up where its
/// records are not taken. Only system calls: this also runs in the child of a fork.
pub fn open(session: &str, joined_by: Option<u32>) -> bool {
    // SAFETY: plain system calls on our own paths; the mapping is checked, and as long as the file that was allocated.
    unsafe {
        let pid = libc::getpid() as u32;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let Ok(temporary) = CString::new(format!("{session}/rings/.{pid}-{number}.new")) else { return false };
        let Ok(name) = CString::new(format!("{session}/rings/{pid}-{number}.ring")) else { return false };
        let fd = libc::open(temporary.as_ptr(), libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC, 0o600);
        if fd < 0 {
            return false;
        }
        let allocated = libc::posix_fallocate(fd, 0, FILE_BYTES as i64) == 0;
        let map = if allocated {
            libc::mmap(null_mut(), FILE_BYTES as usize, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED, fd, 0)
        } else {
            libc::MAP_FAILED
        };
        libc::close(fd);
        if map == libc::MAP_FAILED {
            libc::unlink(temporary.as_ptr());
            return false;
        }
        let header = &*map.cast::<Header>();
        header.version.store(wire::VERSION, Ordering::Relaxed);
        header.pid.store(pid, Ordering::Relaxed);
        header.parent.store(libc::getppid() as u32, Ordering::Relaxed);
        let when_full = if joined_by.is_some() { Full::Drop } else { Full::Wait };
        header.when_full.store(when_full as u32, Ordering::Relaxed);
        header.consumer.store(joined_by.unwrap_or(0), Ordering::Relaxed);
        LOOK_AT.store(joined_by.map_or(u64::MAX, |_| ticks().wrapping_add(LOOKED_AFTER)), Ordering::Relaxed);
        header.base_ns.store(monotonic_ns(), Ordering::Relaxed);
        header.base_ticks.store(ticks(), Ordering::Relaxed);
        header.magic.store(wire::MAGIC, Ordering::Release);
        OUT.store(map.cast(), Ordering::Release);
        MAP.store(map.cast(), Ordering::Release);
        OPENED.store(map.cast(), Ordering::Release);
        if libc::rename(temporary.as_ptr(), name.as_ptr()) != 0 {
            abandon();
            return false;
        }
        true
    }
}

/// Forgets the ring without unmapping it (another thread may be writing): the process that made it goes on using it.
pub fn abandon() {
    MAP.store(null_mut(), Ordering::Release);
    OUT.store(null_mut(), Ordering::Release);
}

/// Nothing that threads do is recorded until [`listen`]; what is defined meanwhile is.
pub fn hush() {
    MAP.store(null_mut(), Ordering::Release);
}

pub fn listen() {
    MAP.store(OUT.load(Ordering::Acquire), Ordering::Release);
}

/// Is the process being joined?
pub fn is_hushed() -> bool {
    MAP.load(Ordering::Acquire).is_null() && !OUT.load(Ordering::Acquire).is_null()
}

/// Gives the memory back. Called with the GIL, which all who write hold: nobody is in the middle of it.
pub fn discard() {
    abandon();
    let map = OPENED.swap(null_mut(), Ordering::AcqRel);
    if !map.is_null() {
        // SAFETY: mapped by `open`, with that length; nobody has it any more.
        unsafe { libc::munmap(map.cast(), FILE_BYTES as usize) };
    }
}

/// Says goodbye: nothing more will come from this process.
pub fn close() {
    if let Some(header) = header() {
        header.state.store(wire::STATE_ENDED, Ordering::Release);
    }
    abandon();
}

fn header() -> Option<&'static Header> {
    let map = OUT.load(Ordering::Acquire);
    // SAFETY: a mapping that is in use is not unmapped, and begins with a header.
    (!map.is_null()).then(|| unsafe { &*map.cast::<Header>() })
}

/// Writes one record. Waits for room, or drops it, as the ring was opened for. One caller at a time: all are inside the gate.
#[inline]
pub fn push(slot: Slot) {
    push_as_of(slot, None);
}

/// The same, of something that was before.
#[inline(always)]
fn push_as_of(mut slot: Slot, time: Option<u64>) {
    let map = OUT.load(Ordering::Acquire);
    if map.is_null() {
        return;
    }
    // SAFETY: as in `header`; the slot's index is below SLOTS, inside the mapping.
    unsafe {
        let header = &*map.cast::<Header>();
        if (HOLE.load(Ordering::Relaxed) || waiting(header) >= ACCESSES_MOST) && !admits(header, &slot) {
            header.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if header.state.load(Ordering::Relaxed) == wire::STATE_STOP {
            return abandon();
        }
        let sequence = header.head.load(Ordering::Relaxed);
        header.head.store(sequence.wrapping_add(1), Ordering::Release);
        let now = ticks();
        look_now_and_then(header, now);
        slot.time = time.unwrap_or(now);
        let place = map.add(HEADER_BYTES + (sequence % SLOTS) as usize * SLOT_BYTES).cast::<Slot>();
        slot.stamp = 0;
        place.write(slot);
        AtomicU64::from_ptr(addr_of_mut!((*place).stamp)).store(sequence.wrapping_add(1), Ordering::Release);
    }
}

/// Records that nobody has taken yet.
#[inline(always)]
fn waiting(header: &Header) -> u64 {
    header.head.load(Ordering::Relaxed).wrapping_sub(header.tail.load(Ordering::Acquire))
}

/// From here on a ring that is not to hold the program up takes no accesses, until it is down to so many again: what
/// names and orders things still fits.
const ACCESSES_MOST: u64 = SLOTS / 4 * 3;
const ACCESSES_AGAIN: u64 = SLOTS / 4;
const MOST: u64 = SLOTS - 64;

/// Looked at where the ring is fuller than it should be, or was. False: drop the record.
#[cold]
fn admits(header: &Header, slot: &Slot) -> bool {
    let drops = header.when_full.load(Ordering::Relaxed) == Full::Drop as u32;
    if !drops || slot.kind != Kind::Access as u8 {
        return waiting(header) < MOST || wait(header, || waiting(header) < MOST);
    }
    if waiting(header) <= ACCESSES_AGAIN {
        // Said where the hole is: what is known from before it does not go with what follows.
        HOLE.store(false, Ordering::Relaxed);
        push(self::slot(Kind::Gap, slot.tid));
        return true;
    }
    HOLE.store(true, Ordering::Relaxed);
    let now = ticks();
    look_now_and_then(header, now);
    false
}

#[inline]
fn look_now_and_then(header: &Header, now: u64) {
    if now >= LOOK_AT.load(Ordering::Relaxed) {
        look(header, now);
    }
}

/// Without anybody to take them, nothing is recorded any more.
#[cold]
fn look(header: &Header, now: u64) {
    LOOK_AT.store(now.wrapping_add(LOOKED_AFTER), Ordering::Relaxed);
    let beat = header.heartbeat.load(Ordering::Relaxed);
    if BEAT.swap(beat, Ordering::Relaxed) == beat && !consumer_lives(header) {
        abandon();
    }
}

/// Writes bytes and then a record that refers to them in `a` (position) and `b` (length). One caller at a time.
pub fn push_blob(slot: Slot, bytes: &[u8]) {
    push_blob_as_of(slot, bytes, None);
}

/// The same, of something that was before (in [`ticks`]).
pub fn push_blob_as_of(mut slot: Slot, bytes: &[u8], time: Option<u64>) {
    let map = OUT.load(Ordering::Acquire);
    let length = bytes.len() as u64;
    if map.is_null() || length > BLOB_MAX {
        return;
    }
    // SAFETY: as in `push`; position and length are inside the blob.
    unsafe {
        let header = &*map.cast::<Header>();
        let mut position = header.blob_head.load(Ordering::Relaxed);
        if position % BLOB_BYTES + length > BLOB_BYTES {
            position += BLOB_BYTES - position % BLOB_BYTES;
        }
        let room = || position + length - header.blob_tail.load(Ordering::Acquire) <= BLOB_BYTES;
        if !room() && !wait(header, room) {
            header.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let start = HEADER_BYTES + SLOTS as usize * SLOT_BYTES + (position % BLOB_BYTES) as usize;
        map.add(start).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        header.blob_head.store(position + length, Ordering::Release);
        slot.a = position;
        slot.b = length;
    }
    push_as_of(slot, time);
}

/// Waits until there is room. False: drop instead; and when the consumer is gone, nothing is recorded any more.
#[cold]
fn wait(header: &Header, room: impl Fn() -> bool) -> bool {
    let mut beat = header.heartbeat.load(Ordering::Relaxed);
    let (mut silent, mut waits) = (0, 0);
    loop {
        if room() {
            return true;
        }
        if header.state.load(Ordering::Relaxed) == wire::STATE_STOP {
            abandon();
            return false;
        }
        // A program that is only looked at is not held up: whoever cannot follow it does without it.
        waits += 1;
        if header.when_full.load(Ordering::Relaxed) == Full::Drop as u32 && waits > SHORT_WAITS {
            abandon();
            return false;
        }
        let seen = header.room.load(Ordering::Relaxed);
        let patience = libc::timespec { tv_sec: 0, tv_nsec: WAIT_NS };
        // SAFETY: a futex wait on our own mapping, bounded in time.
        unsafe { libc::syscall(libc::SYS_futex, header.room.as_ptr(), libc::FUTEX_WAIT, seen, &raw const patience) };
        let now = header.heartbeat.load(Ordering::Relaxed);
        silent = if now == beat { silent + 1 } else { 0 };
        beat = now;
        if silent > SILENT_WAITS && !consumer_lives(header) {
            abandon();
            return false;
        }
    }
}

fn consumer_lives(header: &Header) -> bool {
    let pid = header.consumer.load(Ordering::Relaxed);
    // Without a consumer yet: the session's tool has not found this ring; it is our ancestor's job, give it time.
    // SAFETY: signal 0 only asks.
    pid != 0 && (unsafe { libc::kill(pid as i32, 0) } == 0 || std::io::Error::last_os_error().raw_os_error() == Some(libc::EPERM))
}

pub fn monotonic_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes into our own timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

#[inline(always)]
pub fn ticks() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 processor has the instruction.
    unsafe {
        core::arch::x86_64::_rdtsc()
    }
    #[cfg(not(target_arch = "x86_64"))]
    monotonic_ns()
}

/// A record of that kind by the current thread, other fields zero.
#[inline(always)]
pub fn slot(kind: Kind, tid: u32) -> Slot {
    Slot { kind: kind as u8, tid, ..Slot::default() }
}
