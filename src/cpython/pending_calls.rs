//! The calls that an interpreter is to make at its next safe point (`Py_AddPendingCall`): a ring in its state, in versions
//! that take no requests of debuggers yet. Says what would have to be written to add one; writes nothing.

use super::layout::{Layout, Pending};
use crate::target::address::RemoteAddr;
use crate::target::memory::{Fault, Memory};

/// The ring of one interpreter.
#[derive(Debug, Clone)]
pub struct PendingCalls {
    interpreter: RemoteAddr,
    layout: Pending,
}

/// Bytes, and where they go.
pub type Write = (RemoteAddr, Vec<u8>);

/// A call with a text as its argument, before it is in the ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Where the text will be: in places of the ring that are not in use.
    pub text: RemoteAddr,
    /// In this order. Before the last one nothing has happened.
    pub writes: Vec<Write>,
}

/// What waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Waiting {
    first: u32,
    end: u32,
}

/// So many places behind the ones that wait are left to the program.
const LEFT_FREE: u32 = 4;

impl PendingCalls {
    /// `None` where there is none, or none is needed.
    pub fn of(layout: &Layout, interpreter: RemoteAddr) -> Option<PendingCalls> {
        layout.pending.clone().map(|layout| PendingCalls { interpreter, layout })
    }

    fn u32(&self, memory: &impl Memory, field: u64) -> Result<u32, Fault> {
        memory.u32(self.interpreter.plus(field))
    }

    /// # Errors
    /// As reading; also when what is there makes no sense.
    fn waiting(&self, memory: &impl Memory) -> Result<Waiting, Fault> {
        let Pending { capacity, first, end, waiting, .. } = self.layout;
        let (count, first, end) = (self.u32(memory, waiting)?, self.u32(memory, first)?, self.u32(memory, end)?);
        let sane = capacity > 0 && first < capacity && end < capacity && {
            let between = (end + capacity - first) % capacity;
            if self.counts() { count == between } else { count <= 1 && (count == 1 || between == 0) }
        };
        if sane { Ok(Waiting { first, end }) } else { Err(Fault::Unreadable(self.interpreter)) }
    }

    /// Does it count those that wait, or only say that there are some?
    fn counts(&self) -> bool {
        self.layout.thread_breaker.is_some()
    }

    fn place(&self, index: u32) -> RemoteAddr {
        self.interpreter.plus(self.layout.calls + self.layout.call * u64::from(index))
    }

    /// A call of `function` with the address of `text` (which ends with NUL). `None` when there is no room for it now.
    ///
    /// # Errors
    /// As reading; also when what is there makes no sense.
    pub fn call(&self, memory: &impl Memory, function: RemoteAddr, text: &[u8]) -> Result<Option<Call>, Fault> {
        let waiting = self.waiting(memory)?;
        let Some(at) = self.room(waiting, text.len() as u64) else { return Ok(None) };
        let capacity = self.layout.capacity;
        let used = (waiting.end + capacity - waiting.first) % capacity;
        let call = [function.0.to_ne_bytes(), at.0.to_ne_bytes()].concat();
        let count = if self.counts() { used + 1 } else { 1 };
        let field = |field: u64, value: u32| (self.interpreter.plus(field), value.to_ne_bytes().to_vec());
        let writes = vec![
            (at, text.to_vec()),
            (self.place(waiting.end), call),
            field(self.layout.end, (waiting.end + 1) % capacity),
            field(self.layout.waiting, count),
        ];
        Ok(Some(Call { text: at, writes }))
    }

    /// Room for so many bytes that is as far from use as can be.
    fn room(&self, waiting: Waiting, bytes: u64) -> Option<RemoteAddr> {
        let capacity = self.layout.capacity;
        let used = (waiting.end + capacity - waiting.first) % capacity;
        // Places in the order in which they would come into use.
        let free: Vec<u32> = (used + 1 + LEFT_FREE..capacity).map(|ahead| (waiting.first + ahead) % capacity).collect();
        let places = usize::try_from(bytes.div_ceil(self.layout.call)).ok()?;
        let connected = |run: &&[u32]| run.windows(2).all(|pair| pair[0] + 1 == pair[1]);
        free.windows(places.max(1)).rev().find(connected).map(|run| self.place(run[0]))
    }

    /// What tells the interpreter that there is something to do. `threads` are its threads' states.
    ///
    /// # Errors
    /// As reading.
    pub fn wake(&self, memory: &impl Memory, threads: impl Iterator<Item = RemoteAddr>) -> Result<Vec<Write>, Fault> {
        /// `_PY_CALLS_TO_DO_BIT` of pycore_ceval.h: in the lowest byte of the word.
        const CALLS_TO_DO: u8 = 1 << 2;
        let whole = self.layout.interpreter_breaker.map(|field| (self.interpreter.plus(field), 1_u32.to_ne_bytes().to_vec()));
        let mut writes: Vec<Write> = whole.into_iter().collect();
        if let Some(field) = self.layout.thread_breaker {
            for thread in threads {
                // The thread may set other bits at the same moment, and lose one: those are set again as long as there
                // is need.
                let at = thread.plus(field);
                writes.push((at, vec![memory.u8(at)? | CALLS_TO_DO]));
            }
        }
        Ok(writes)
    }

    /// Does a call with the text at this address still wait?
    ///
    /// # Errors
    /// As reading.
    pub fn waits(&self, memory: &impl Memory, text: RemoteAddr) -> Result<bool, Fault> {
        let Waiting { first, end } = self.waiting(memory)?;
        let capacity = self.layout.capacity;
        for ahead in 0..(end + capacity - first) % capacity {
            if memory.pointer(self.place((first + ahead) % capacity).plus(8))? == text {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::memory::Image;
    use racetrace_probes::version::Version;

    const INTERPRETER: RemoteAddr = RemoteAddr(0x10000);
    const TEXT: &[u8] = b"pass\0";

    fn ring(minor: u8) -> (PendingCalls, Image) {
        let layout = Layout::of(Version { minor, free_threaded: false }).unwrap();
        let mut memory = Image::default();
        memory.add(INTERPRETER, vec![0; 1 << 16]);
        (PendingCalls::of(&layout, INTERPRETER).unwrap(), memory)
    }

    fn add(ring: &PendingCalls, memory: &mut Image) -> Option<Call> {
        let call = ring.call(memory, RemoteAddr(0x4000), TEXT).unwrap()?;
        call.writes.iter().for_each(|(at, bytes)| memory.overwrite(*at, bytes));
        Some(call)
    }

    /// As the interpreter takes the first one out.
    fn take(ring: &PendingCalls, memory: &mut Image) {
        let Waiting { first, end } = ring.waiting(memory).unwrap();
        let first = (first + 1) % ring.layout.capacity;
        let left = (end + ring.layout.capacity - first) % ring.layout.capacity;
        let count = if ring.counts() { left } else { u32::from(left > 0) };
        memory.overwrite(INTERPRETER.plus(ring.layout.first), &first.to_ne_bytes());
        memory.overwrite(INTERPRETER.plus(ring.layout.waiting), &count.to_ne_bytes());
    }

    #[test]
    fn a_call_waits_until_it_is_taken_wherever_the_ring_stands() {
        for minor in [12, 13] {
            let (ring, mut memory) = ring(minor);
            for _ in 0..2 * ring.layout.capacity {
                let call = add(&ring, &mut memory).unwrap();
                assert!(ring.waits(&memory, call.text).unwrap());
                assert_eq!(memory.c_string(call.text, 64).unwrap(), "pass");
                take(&ring, &mut memory);
                assert!(!ring.waits(&memory, call.text).unwrap());
            }
        }
    }

    #[test]
    fn calls_of_the_program_are_left_alone() {
        for minor in [12, 13] {
            let (ring, mut memory) = ring(minor);
            let mut texts = Vec::new();
            while let Some(call) = add(&ring, &mut memory) {
                assert!(texts.iter().all(|text| ring.waits(&memory, *text).unwrap()), "3.{minor}");
                texts.push(call.text);
                assert!(texts.len() < ring.layout.capacity as usize, "3.{minor}: there is always room");
            }
            assert!(!texts.is_empty());
        }
    }

    #[test]
    fn what_is_no_ring_is_not_written_to() {
        for minor in [12, 13] {
            let (ring, mut memory) = ring(minor);
            memory.overwrite(INTERPRETER.plus(ring.layout.end), &7_u32.to_ne_bytes());
            assert!(ring.call(&memory, RemoteAddr(0x4000), TEXT).is_err(), "3.{minor}: seven wait, but none is announced");
            memory.overwrite(INTERPRETER.plus(ring.layout.first), &u32::MAX.to_ne_bytes());
            assert!(ring.call(&memory, RemoteAddr(0x4000), TEXT).is_err(), "3.{minor}");
        }
    }
}
