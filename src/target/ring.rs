//! The consumer's side of the shared memory that the agent writes (see `racetrace_probes::wire`). It copies records and
//! bytes out and gives room back; what they mean is decided elsewhere. The producer may have written anything: every
//! field is read once, every position is taken modulo the ring's size.

use std::fs::File;
use std::num::NonZeroUsize;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::libc;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use racetrace_probes::wire::{self, BLOB_BYTES, BLOB_MAX, FILE_BYTES, HEADER_BYTES, Header, SLOT_BYTES, SLOTS, Slot};

/// A mapped ring file.
#[derive(Debug)]
pub struct Ring {
    map: NonNull<u8>,
}

// SAFETY: the mapping belongs to this value alone, is not tied to a thread, and everything in it that the other side
// changes is read through atomics or volatile copies.
unsafe impl Send for Ring {}

#[derive(Debug)]
pub enum RingError {
    Io(std::io::Error),
    /// Smaller than a ring has to be.
    Short(u64),
    /// It does not begin as a ring does.
    Foreign,
    /// Written by an agent of another version.
    Version(u32),
}

impl std::fmt::Display for RingError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RingError::Io(error) => write!(f, "cannot map the ring: {error}"),
            RingError::Short(length) => write!(f, "the ring is {length} bytes long, too short"),
            RingError::Foreign => write!(f, "the file is not a ring"),
            RingError::Version(version) => write!(f, "the agent speaks version {version}, not {}", wire::VERSION),
        }
    }
}

impl From<nix::Error> for RingError {
    fn from(error: nix::Error) -> Self {
        RingError::Io(error.into())
    }
}

/// What lies at a sequence number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    Ready(Slot),
    /// Claimed by a producer that has not finished writing.
    Pending,
    /// Already overwritten by a later record.
    Overrun,
}

impl Ring {
    /// Maps the file and checks that it is a ring of this version.
    pub fn open(path: &Path) -> Result<Ring, RingError> {
        let file = File::options().read(true).write(true).open(path).map_err(RingError::Io)?;
        let length = file.metadata().map_err(RingError::Io)?.len();
        if length < FILE_BYTES {
            return Err(RingError::Short(length));
        }
        let size = NonZeroUsize::new(FILE_BYTES as usize).ok_or(RingError::Short(0))?;
        let rights = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice; the file is long enough for all of it.
        let map = unsafe { mmap(None, size, rights, MapFlags::MAP_SHARED, &file, 0) }?.cast();
        let ring = Ring { map };
        match (ring.header().magic.load(Ordering::Acquire), ring.header().version.load(Ordering::Acquire)) {
            (wire::MAGIC, wire::VERSION) => Ok(ring),
            (wire::MAGIC, other) => Err(RingError::Version(other)),
            _ => Err(RingError::Foreign),
        }
    }

    fn header(&self) -> &Header {
        // SAFETY: the mapping is longer than a header, aligned to a page, and a header is made of atomics and padding.
        unsafe { self.map.cast::<Header>().as_ref() }
    }

    /// Says who reads.
    pub fn attach(&self, consumer: u32) {
        self.header().consumer.store(consumer, Ordering::Release);
    }

    pub fn pid(&self) -> u32 {
        self.header().pid.load(Ordering::Relaxed)
    }

    pub fn parent(&self) -> u32 {
        self.header().parent.load(Ordering::Relaxed)
    }

    /// Sequence number of the next record that will be written.
    pub fn head(&self) -> u64 {
        self.header().head.load(Ordering::Acquire)
    }

    /// Position up to which the producer has written bytes.
    pub fn blob_head(&self) -> u64 {
        self.header().blob_head.load(Ordering::Acquire)
    }

    /// Records that the producer had to drop so far.
    pub fn dropped(&self) -> u64 {
        self.header().dropped.load(Ordering::Relaxed)
    }

    /// The producer has said goodbye.
    pub fn has_ended(&self) -> bool {
        self.header().state.load(Ordering::Acquire) == wire::STATE_ENDED
    }

    /// Asks the producer to record nothing more.
    pub fn stop(&self) {
        let state = &self.header().state;
        let _ = state.compare_exchange(wire::STATE_RECORDING, wire::STATE_STOP, Ordering::AcqRel, Ordering::Relaxed);
        self.wake();
    }

    /// Copies out the record with that sequence number.
    pub fn slot(&self, sequence: u64) -> Taken {
        let place = HEADER_BYTES + (sequence % SLOTS) as usize * SLOT_BYTES;
        // SAFETY: the index is below SLOTS, so the slot lies inside the mapping and is aligned to its size.
        let slot = unsafe { self.map.add(place) }.cast::<Slot>();
        // SAFETY: the stamp is the first field of a slot inside the mapping, aligned, and only ever used as an atomic.
        let stamp = unsafe { AtomicU64::from_ptr(slot.as_ptr().cast()) };
        match stamp.load(Ordering::Acquire) {
            seen if seen == sequence.wrapping_add(1) => {
                // SAFETY: inside the mapping and aligned; a slot is integers only, so that any bits are valid.
                let copy = unsafe { slot.as_ptr().read_volatile() };
                Taken::Ready(copy)
            }
            later if later > sequence.wrapping_add(1) && later <= self.head() => Taken::Overrun,
            _ => Taken::Pending,
        }
    }

    /// Copies bytes out of the blob; `None` when they are longer than anything the agent sends.
    pub fn blob(&self, position: u64, length: u64) -> Option<Vec<u8>> {
        if length > BLOB_MAX {
            return None;
        }
        let first = length.min(BLOB_BYTES - position % BLOB_BYTES) as usize;
        let mut bytes = vec![0; length as usize];
        let (head, rest) = bytes.split_at_mut(first);
        self.copy_blob(position % BLOB_BYTES, head);
        self.copy_blob(0, rest);
        Some(bytes)
    }

    fn copy_blob(&self, offset: u64, into: &mut [u8]) {
        debug_assert!(offset + into.len() as u64 <= BLOB_BYTES);
        let place = HEADER_BYTES + SLOTS as usize * SLOT_BYTES + offset as usize;
        // SAFETY: `blob` keeps offset plus length within BLOB_BYTES, and the blob lies inside the mapping; the bytes may
        // change while they are copied, which makes garbage, not invalid values.
        unsafe { self.map.add(place).as_ptr().copy_to_nonoverlapping(into.as_mut_ptr(), into.len()) };
    }

    /// Gives back the room before `tail` and `blob_tail`, and shows a sign of life.
    pub fn release(&self, tail: u64, blob_tail: u64) {
        let header = self.header();
        header.tail.store(tail, Ordering::Release);
        header.blob_tail.store(blob_tail, Ordering::Release);
        self.wake();
    }

    /// Shows the producer that its records are still being taken care of.
    pub fn beat(&self) {
        self.header().heartbeat.fetch_add(1, Ordering::Relaxed);
    }

    fn wake(&self) {
        let room = &self.header().room;
        room.fetch_add(1, Ordering::Release);
        // SAFETY: the futex word lies inside the mapping, and waking only reads its address.
        unsafe { libc::syscall(libc::SYS_futex, room.as_ptr(), libc::FUTEX_WAKE, i32::MAX) };
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: the mapping was made in `open` with this length, and nothing borrows from it any more.
        let _ = unsafe { munmap(self.map.cast(), FILE_BYTES as usize) };
    }
}
