//! Frames: of running and waiting threads, and of suspended generators and coroutines. It finds code, instruction and
//! slots; what a slot holds is for the plan of the code to say.

use crate::target::address::RemoteAddr;
use crate::target::memory::{Fault, Memory, Piece};

use super::python::{Python, ThreadState, half_at, word_at};

/// One frame, as it was read at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteFrame {
    pub at: RemoteAddr,
    pub code: RemoteAddr,
    pub globals: RemoteAddr,
    /// The frame below (its caller).
    pub previous: RemoteAddr,
    pub position: Position,
    /// Saved number of slots in use (locals included), where the frame has it: exact in callers and suspended frames,
    /// a leftover or nothing in the frame that executes.
    pub slots_in_use: Option<u32>,
    /// `FRAME_OWNED_BY_*`; 0 before 3.11.
    pub owner: u8,
}

/// Where a frame is in its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// The address of a code unit (3.11+).
    Address(RemoteAddr),
    /// A byte offset.
    Offset(u32),
    /// Not begun.
    Start,
}

/// Deeper stacks are cut: recursion this deep says nothing new.
pub const MOST_FRAMES: usize = 256;
const FRAME_SIZE: usize = 112;
/// Frames on one page are read at once.
const PAGE: u64 = 4096;

impl RemoteFrame {
    /// The byte offset into the bytecode that starts at `start`, not yet mapped to its instruction.
    pub fn offset(&self, start: RemoteAddr, len: usize) -> Option<usize> {
        let offset = match self.position {
            Position::Address(at) => usize::try_from(at.0.checked_sub(start.0)?).ok()?,
            Position::Offset(offset) => usize::try_from(offset).ok()?,
            Position::Start => return None,
        };
        (offset < len).then_some(offset)
    }
}

impl<M: Memory> Python<M> {
    /// The way to each thread's innermost frame, in one or two reads for all: the words that lead there, the last of
    /// which is the frame's address (null where there is none).
    ///
    /// # Errors
    /// When the process is gone or closed to us.
    pub fn current_frames(&self, threads: &[ThreadState]) -> Result<Vec<Vec<(RemoteAddr, RemoteAddr)>>, Fault> {
        let layout = &self.layout.thread;
        let first: Vec<RemoteAddr> = threads.iter().map(|thread| thread.at.plus(layout.cframe.unwrap_or(layout.frame))).collect();
        let words = self.gather_pointers(first.iter().copied())?;
        let mut ways: Vec<Vec<_>> = first.into_iter().zip(words.iter().copied()).map(|step| vec![step]).collect();
        if layout.cframe.is_some() {
            let second: Vec<RemoteAddr> = words.iter().map(|cframe| cframe.plus(layout.frame)).collect();
            let frames = self.gather_pointers(second.iter().copied())?;
            for (way, step) in ways.iter_mut().zip(second.into_iter().zip(frames)) {
                way.push(step);
            }
        }
        Ok(ways)
    }

    /// Pointers at scattered places; null where one cannot be read.
    pub(crate) fn gather_pointers(&self, places: impl Iterator<Item = RemoteAddr>) -> Result<Vec<RemoteAddr>, Fault> {
        let pieces: Vec<Piece> = places.map(|at| Piece { at, len: 8 }).collect();
        let bytes = self.gather_all(&pieces)?;
        Ok(bytes.as_chunks().0.iter().map(|&word| RemoteAddr(u64::from_ne_bytes(word))).collect())
    }

    /// All pieces, skipping (zeroed) those that cannot be read.
    pub(crate) fn gather_all(&self, pieces: &[Piece]) -> Result<Vec<u8>, Fault> {
        let mut bytes = vec![0; pieces.iter().map(|piece| piece.len).sum()];
        let (mut piece, mut at) = (0, 0);
        while let Some(rest) = pieces.get(piece..).filter(|rest| !rest.is_empty()) {
            let mut read = self.memory.gather(rest, bytes.get_mut(at..).unwrap_or(&mut []))?;
            while let Some(done) = pieces.get(piece).filter(|done| read >= done.len) {
                read -= done.len;
                at += done.len;
                piece += 1;
            }
            if let Some(bad) = pieces.get(piece) {
                bytes.get_mut(at..at + bad.len).unwrap_or(&mut []).fill(0);
                at += bad.len;
                piece += 1;
            }
        }
        Ok(bytes)
    }

    /// One frame.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn frame(&self, at: RemoteAddr) -> Result<RemoteFrame, Fault> {
        let mut bytes = [0; FRAME_SIZE];
        self.memory.read(at, &mut bytes)?;
        Ok(self.frame_from(at, &bytes))
    }

    /// The frame as it is now, whatever of its memory is kept.
    pub fn frame_now(&self, at: RemoteAddr) -> Option<RemoteFrame> {
        let mut bytes = [0; FRAME_SIZE];
        let read = self.memory.gather(&[Piece { at, len: FRAME_SIZE }], &mut bytes).ok()?;
        (read == FRAME_SIZE).then(|| self.frame_from(at, &bytes))
    }

    /// The pointer that lies at a place now, whatever of the memory is kept.
    pub fn pointer_now(&self, at: RemoteAddr) -> Option<RemoteAddr> {
        let mut bytes = [0; 8];
        let read = self.memory.gather(&[Piece { at, len: 8 }], &mut bytes).ok()?;
        (read == bytes.len()).then(|| RemoteAddr(u64::from_ne_bytes(bytes)))
    }

    /// The frame in bytes that were read along with others.
    pub fn frame_in(&self, at: RemoteAddr, bytes: &[u8]) -> RemoteFrame {
        self.frame_from(at, bytes)
    }

    fn frame_from(&self, at: RemoteAddr, bytes: &[u8]) -> RemoteFrame {
        let layout = &self.layout.frame;
        let pointer = |offset: u64| RemoteAddr(word_at(bytes, offset));
        let position = match (layout.instruction, layout.lasti) {
            (Some(offset), _) => Position::Address(pointer(offset)),
            (None, Some(offset)) => match half_at(bytes, offset).cast_signed() {
                lasti @ 0.. => {
                    Position::Offset(lasti.unsigned_abs() * u32::try_from(layout.lasti_unit.unwrap_or(1)).unwrap_or(1))
                }
                _ => Position::Start,
            },
            (None, None) => Position::Start,
        };
        RemoteFrame {
            at,
            code: RemoteAddr(pointer(layout.code).0 & !layout.tag_bits),
            globals: pointer(layout.globals),
            previous: pointer(layout.previous),
            position,
            slots_in_use: self.slots_in_use(at, bytes),
            owner: layout.owner.and_then(|offset| bytes.get(usize::try_from(offset).ok()?).copied()).unwrap_or(0),
        }
    }

    /// All three forms in which versions keep it, brought to one.
    fn slots_in_use(&self, at: RemoteAddr, bytes: &[u8]) -> Option<u32> {
        let layout = &self.layout.frame;
        let slots = at.plus(layout.slots);
        let entries =
            |end: RemoteAddr| u32::try_from(end.0.checked_sub(slots.0)? / 8).ok().filter(|&count| count < LARGEST_FRAME);
        if let Some(offset) = layout.stack_pointer {
            return Some(RemoteAddr(word_at(bytes, offset))).filter(|end| !end.is_null()).and_then(entries);
        }
        if let (Some(depth), Some(stack)) = (layout.stack_depth, layout.value_stack) {
            let base = entries(RemoteAddr(word_at(bytes, stack)))?;
            return u32::try_from(half_at(bytes, depth).cast_signed()).ok()?.checked_add(base);
        }
        u32::try_from(half_at(bytes, layout.stack_top?).cast_signed()).ok().filter(|&count| count < LARGEST_FRAME)
    }

    /// The frames below each of `innermost`, it included, innermost first; those that C code put there too. Those of all
    /// threads are read together, page by page where frames lie on a stack of their own. A chain that breaks off is cut
    /// there.
    ///
    /// # Errors
    /// When the process is gone or closed to us.
    pub fn chains(&self, innermost: &[RemoteAddr]) -> Result<Vec<Vec<RemoteFrame>>, Fault> {
        let mut chains: Vec<Vec<RemoteFrame>> = vec![Vec::new(); innermost.len()];
        let mut next: Vec<(usize, RemoteAddr)> = innermost.iter().copied().enumerate().collect();
        for _ in 0..MOST_FRAMES {
            next.retain(|(_, at)| !at.is_null());
            if next.is_empty() {
                break;
            }
            let pieces: Vec<Piece> = next.iter().map(|(_, at)| self.around(*at)).collect();
            self.memory.prepare(&pieces);
            for ((chain, at), piece) in next.iter_mut().zip(&pieces) {
                if let Some(chain) = chains.get_mut(*chain) {
                    *at = self.follow(*at, piece, chain)?;
                }
            }
        }
        Ok(chains)
    }

    /// What is worth reading along with the frame at `at`: others of its thread on the same page. Callers lie before it,
    /// but those that C code put on its own stack, behind it.
    fn around(&self, at: RemoteAddr) -> Piece {
        if self.layout.frame.instruction.is_none() {
            return Piece { at, len: FRAME_SIZE };
        }
        let before = at.0 % PAGE;
        Piece { at: RemoteAddr(at.0 - before), len: (PAGE as usize).max(before as usize + FRAME_SIZE) }
    }

    /// Goes from frame to frame as long as they lie within `piece`. What comes next is elsewhere; null at the end.
    fn follow(&self, from: RemoteAddr, piece: &Piece, chain: &mut Vec<RemoteFrame>) -> Result<RemoteAddr, Fault> {
        let end = piece.at.plus(piece.len as u64);
        let mut at = from;
        while (piece.at..end).contains(&at) && chain.len() < MOST_FRAMES {
            let frame = match self.frame(at) {
                Ok(frame) if !frame.code.is_null() => frame,
                Ok(_) | Err(Fault::Unreadable(_)) => return Ok(RemoteAddr::NULL),
                Err(fault) => return Err(fault),
            };
            // A frame that is its own caller was damaged, or is being made.
            if frame.previous == at {
                chain.push(frame);
                return Ok(RemoteAddr::NULL);
            }
            at = frame.previous;
            chain.push(frame);
        }
        Ok(if chain.len() < MOST_FRAMES { at } else { RemoteAddr::NULL })
    }

    /// Entry and shim frames hold no code that a user wrote.
    pub fn is_pythons(&self, frame: &RemoteFrame) -> bool {
        frame.owner < OWNED_BY_C
    }

    /// The frame's first `count` slots: locals, cells and free variables, then the value stack. References are plain
    /// addresses, whatever tags the interpreter gives them.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn slots(&self, frame: RemoteAddr, count: u32) -> Result<Vec<RemoteAddr>, Fault> {
        self.slots_at(frame, 0, count)
    }

    /// The same with whatever tags the interpreter gives references.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn raw_slots(&self, frame: RemoteAddr, count: u32) -> Result<Vec<RemoteAddr>, Fault> {
        self.pointers(self.slot_address(frame, 0), u64::from(count.min(LARGEST_FRAME)))
    }

    /// `count` slots from the one with index `first` on.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn slots_at(&self, frame: RemoteAddr, first: u32, count: u32) -> Result<Vec<RemoteAddr>, Fault> {
        let mut slots = self.pointers(self.slot_address(frame, first), u64::from(count.min(LARGEST_FRAME)))?;
        for slot in &mut slots {
            slot.0 &= !self.layout.frame.tag_bits;
        }
        Ok(slots)
    }

    /// The address of a slot.
    pub fn slot_address(&self, frame: RemoteAddr, index: u32) -> RemoteAddr {
        frame.plus(self.layout.frame.slots).plus(u64::from(index) * 8)
    }
}

/// `FRAME_OWNED_BY_CSTACK` (3.12, 3.13), `FRAME_OWNED_BY_INTERPRETER` (3.14+).
const OWNED_BY_C: u8 = 3;
/// No function needs more slots.
const LARGEST_FRAME: u32 = 1 << 16;
