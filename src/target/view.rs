//! Memory as it was when it was first asked for: what lies close together is read at once and kept, until it is let go.
//! For one look at a process that goes on meanwhile; what must be of now is asked of the memory below.

use std::cell::{Cell, RefCell};
use std::collections::hash_map::Entry;

use rustc_hash::FxHashMap;

use super::address::RemoteAddr;
use super::memory::{Fault, Memory, Piece};

/// Bytes that are read at once; no page begins in between.
const LINE: usize = 1024;
/// Lines that are kept; a look that needs more begins anew.
const MOST_LINES: usize = 1 << 13;
/// Lines that are read at once.
const MOST_FORESEEN: usize = 1 << 10;

/// A memory with what was read of it.
#[derive(Debug)]
pub struct View<M> {
    memory: M,
    lines: RefCell<FxHashMap<u64, Line>>,
    keeps: Cell<bool>,
    /// The lines that were asked for until [`View::note`]: most of them will be again.
    noted: RefCell<Vec<u64>>,
}

#[derive(Debug)]
struct Line {
    bytes: Box<[u8; LINE]>,
    asked_for: bool,
}

impl<M: Memory> View<M> {
    pub fn of(memory: M) -> View<M> {
        View { memory, lines: RefCell::default(), keeps: Cell::new(false), noted: RefCell::default() }
    }

    /// From now on, what has been read once is not read again.
    pub fn keep(&self) {
        self.let_go();
        self.keeps.set(true);
    }

    /// Notes what has been asked for, for [`View::foresee`].
    pub fn note(&self) {
        let lines = self.lines.borrow();
        let asked_for = lines.iter().filter(|(_, line)| line.asked_for).map(|(at, _)| *at).take(MOST_FORESEEN);
        *self.noted.borrow_mut() = asked_for.collect();
    }

    /// Reads what was noted, all at once: one call of the kernel instead of one for each line.
    pub fn foresee(&self) {
        if !self.keeps.get() {
            return;
        }
        let mut lines = self.lines.borrow_mut();
        let noted = self.noted.borrow();
        let missing = noted.iter().filter(|at| !lines.contains_key(*at));
        let pieces: Vec<Piece> = missing.map(|at| Piece { at: RemoteAddr(*at), len: LINE }).collect();
        let mut bytes = vec![0; pieces.len() * LINE];
        // What is not there any more breaks it off; the rest is read when it is asked for.
        let read = self.memory.gather(&pieces, &mut bytes).unwrap_or(0);
        for (piece, bytes) in pieces.iter().zip(bytes.as_chunks().0.iter().take(read / LINE)) {
            lines.insert(piece.at.0, Line { bytes: Box::new(*bytes), asked_for: false });
        }
    }

    /// From now on, all is as it is when it is asked for.
    pub fn let_go(&self) {
        self.keeps.set(false);
        self.lines.borrow_mut().clear();
    }

    /// The memory as it is now.
    pub fn now(&self) -> &M {
        &self.memory
    }

    /// Copies the part of the line at `line` that `into` is about, which begins at `at`.
    fn copy(&self, line: u64, at: u64, into: &mut [u8]) -> Result<(), Fault> {
        let mut lines = self.lines.borrow_mut();
        if lines.len() >= MOST_LINES {
            lines.clear();
        }
        let kept = match lines.entry(line) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let mut bytes = Box::new([0; LINE]);
                self.memory.read(RemoteAddr(line), bytes.as_mut_slice())?;
                entry.insert(Line { bytes, asked_for: true })
            }
        };
        kept.asked_for = true;
        // Both begin and end within the line or at its ends.
        let (from, start) = (at.max(line) - line, line.max(at) - at);
        let count = (LINE - from as usize).min(into.len() - start as usize);
        let part = kept.bytes.get(from as usize..from as usize + count).ok_or(Fault::Unreadable(RemoteAddr(at)))?;
        into.get_mut(start as usize..start as usize + count).ok_or(Fault::Unreadable(RemoteAddr(at)))?.copy_from_slice(part);
        Ok(())
    }
}

impl<M: Memory> Memory for View<M> {
    fn read(&self, at: RemoteAddr, into: &mut [u8]) -> Result<(), Fault> {
        if !self.keeps.get() || into.len() > LINE || into.is_empty() {
            return self.memory.read(at, into);
        }
        let last = at.0.checked_add(into.len() as u64 - 1).ok_or(Fault::Unreadable(at))?;
        let line_of = |at: u64| at & !(LINE as u64 - 1);
        self.copy(line_of(at.0), at.0, into)?;
        if line_of(last) != line_of(at.0) {
            self.copy(line_of(last), at.0, into)?;
        }
        Ok(())
    }

    /// Always as it is now.
    fn gather(&self, pieces: &[Piece], into: &mut [u8]) -> Result<usize, Fault> {
        self.memory.gather(pieces, into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::memory::Image;

    fn image() -> Image {
        let mut image = Image::default();
        image.add(RemoteAddr(0x1000), (0..=255).cycle().take(2 * LINE).collect());
        image
    }

    #[test]
    fn a_view_gives_what_the_memory_holds() {
        let (memory, view) = (image(), View::of(image()));
        view.keep();
        for from in [0, 1, 1000, 1017, 1023, 1024, 2000, 2047] {
            for len in [1, 8, 24, 1024] {
                let at = RemoteAddr(0x1000 + from);
                assert_eq!(view.bytes(at, len).ok(), memory.bytes(at, len).ok(), "{len} at {from}");
            }
        }
        assert!(view.u64(RemoteAddr(u64::MAX)).is_err());
    }

    #[test]
    fn what_is_foreseen_is_read_at_once_and_is_of_then() {
        let view = View::of(image());
        view.keep();
        assert_eq!(view.u8(RemoteAddr(0x1003)), Ok(3));
        view.note();
        view.keep();
        view.foresee();
        assert_eq!(view.lines.borrow().len(), 1);
        assert_eq!(view.u8(RemoteAddr(0x1003)), Ok(3));
        // What nobody asks for any more is not foreseen again.
        view.note();
        view.keep();
        view.foresee();
        view.note();
        assert!(view.noted.borrow().is_empty());
        // Nor is what has gone.
        view.noted.borrow_mut().extend([0x1000, 0x9_0000]);
        view.foresee();
        assert_eq!((view.u8(RemoteAddr(0x1003)), view.u8(RemoteAddr(0x9_0000)).is_err()), (Ok(3), true));
    }

    #[test]
    fn what_was_read_stays_until_it_is_let_go() {
        struct Changing(Cell<u64>);
        impl Memory for Changing {
            fn read(&self, _: RemoteAddr, into: &mut [u8]) -> Result<(), Fault> {
                self.0.set(self.0.get() + 1);
                into.fill(self.0.get() as u8);
                Ok(())
            }
        }
        let view = View::of(Changing(Cell::new(0)));
        view.keep();
        assert_eq!((view.u8(RemoteAddr(7)), view.u8(RemoteAddr(9))), (Ok(1), Ok(1)));
        assert_eq!(view.now().u8(RemoteAddr(7)), Ok(2));
        view.keep();
        assert_eq!(view.u8(RemoteAddr(7)), Ok(3));
        view.let_go();
        assert_eq!((view.u8(RemoteAddr(7)), view.u8(RemoteAddr(7))), (Ok(4), Ok(5)));
    }
}
