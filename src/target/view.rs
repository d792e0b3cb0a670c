//! Memory as it was when it was first asked for: what lies close together is read at once and kept, until it is let go.
//! For one look at a process that goes on meanwhile; what must be of now is asked of the memory below.

use std::cell::{Cell, RefCell};
use std::collections::hash_map::Entry;

use rustc_hash::FxHashMap;

use super::address::RemoteAddr;
use super::memory::{Fault, Memory, Piece};

/// Bytes that are kept as one.
const LINE: usize = 256;
/// Bytes that are read at once where nothing was foreseen.
const BLOCK: usize = 1024;
/// Lines of one page are read as one piece, with what lies between them: that costs less than another piece.
const PAGE: u64 = 4096;
/// Lines that are kept; a look that needs more begins anew.
const MOST_LINES: usize = 1 << 15;
/// Lines that are read at once.
const MOST_AT_ONCE: usize = 1 << 12;
/// What has not been asked for in so many looks is not foreseen any more.
const LONGEST_UNASKED: u32 = 1;
/// What is not there any more interrupts reading at once; after so many times, the rest is read when it is asked for.
const MOST_INTERRUPTIONS: usize = 32;

/// A memory with what was read of it.
#[derive(Debug)]
pub struct View<M> {
    memory: M,
    lines: RefCell<Lines>,
    keeps: Cell<bool>,
}

/// The lines that were asked for at one stage of a look, and how many looks ago: most of them will be again.
#[derive(Debug, Default)]
pub struct Noted {
    lines: FxHashMap<u64, u32>,
}

/// Lines by address. The room for their bytes stays when they go.
#[derive(Debug, Default)]
struct Lines {
    at: FxHashMap<u64, Line>,
    bytes: Vec<[u8; LINE]>,
}

#[derive(Debug, Clone, Copy)]
struct Line {
    place: usize,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Read because it had been noted, or along with another, and not asked for yet.
    Foreseen,
    AskedFor,
    /// Its reader says itself what it will ask for: nothing to note.
    Prepared,
}

impl Lines {
    fn clear(&mut self) {
        self.at.clear();
        self.bytes.clear();
    }

    fn bytes_of(&mut self, line: u64) -> Option<&[u8; LINE]> {
        let found = self.at.get_mut(&line)?;
        if found.state == State::Foreseen {
            found.state = State::AskedFor;
        }
        self.bytes.get(found.place)
    }

    /// Reads the line, and what of its block is not there yet along with it: that costs no more.
    fn read_block<M: Memory>(&mut self, memory: &M, line: u64) -> Result<(), Fault> {
        let first = line & !(BLOCK as u64 - 1);
        let mut bytes = [[0; LINE]; BLOCK / LINE];
        memory.read(RemoteAddr(first), bytes.as_flattened_mut())?;
        for (at, bytes) in (first..).step_by(LINE).zip(bytes) {
            let place = self.bytes.len();
            if let Entry::Vacant(entry) = self.at.entry(at) {
                entry.insert(Line { place, state: State::Foreseen });
                self.bytes.push(bytes);
            }
        }
        Ok(())
    }

    /// Reads those that are not there yet, as many as possible in one call of the kernel. Gives back what could not be
    /// read.
    fn fetch<M: Memory>(&mut self, memory: &M, mut wanted: Vec<u64>, state: State) -> Vec<u64> {
        wanted.retain(|at| !self.at.contains_key(at));
        wanted.sort_unstable();
        wanted.truncate(MOST_AT_ONCE);
        let pieces = pieces(&wanted);
        let mut place = self.bytes.len();
        self.bytes.resize(place + pieces.iter().map(|piece| piece.len / LINE).sum::<usize>(), [0; LINE]);
        let mut rest = pieces.as_slice();
        let mut gone = Vec::new();
        for _ in 0..MOST_INTERRUPTIONS {
            let into = self.bytes.get_mut(place..).unwrap_or_default().as_flattened_mut();
            let Ok(mut read) = memory.gather(rest, into) else { break };
            while let Some((piece, behind)) = rest.split_first().filter(|(piece, _)| read >= piece.len) {
                for line in lines_of(piece) {
                    // What is there already, between others that are not, stays as it was.
                    self.at.entry(line).or_insert(Line { place, state });
                    place += 1;
                }
                read -= piece.len;
                rest = behind;
            }
            let Some((bad, behind)) = rest.split_first() else { break };
            gone.extend(lines_of(bad));
            place += bad.len / LINE;
            rest = behind;
        }
        gone
    }
}

/// Sorted lines as pieces.
fn pieces(lines: &[u64]) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::with_capacity(lines.len());
    for &line in lines {
        match pieces.last_mut() {
            Some(last) if last.at.0 / PAGE == line / PAGE => last.len = (line - last.at.0) as usize + LINE,
            _ => pieces.push(Piece { at: RemoteAddr(line), len: LINE }),
        }
    }
    pieces
}

/// The lines that a piece is about.
fn lines_of(piece: &Piece) -> impl Iterator<Item = u64> + use<> {
    let last = piece.at.0.saturating_add((piece.len as u64).saturating_sub(1));
    (line_of(piece.at.0)..=last).step_by(LINE)
}

fn line_of(at: u64) -> u64 {
    at & !(LINE as u64 - 1)
}

impl<M: Memory> View<M> {
    pub fn of(memory: M) -> View<M> {
        View { memory, lines: RefCell::default(), keeps: Cell::new(false) }
    }

    /// From now on, what has been read once is not read again.
    pub fn keep(&self) {
        self.let_go();
        self.keeps.set(true);
    }

    /// Notes what has been asked for since the last time, for [`View::foresee`].
    pub fn note(&self, noted: &mut Noted) {
        noted.lines.retain(|_, unasked| {
            *unasked += 1;
            *unasked <= LONGEST_UNASKED
        });
        for (at, line) in self.lines.borrow_mut().at.iter_mut().filter(|(_, line)| line.state == State::AskedFor) {
            line.state = State::Foreseen;
            noted.lines.insert(*at, 0);
        }
    }

    /// Reads what was noted, all at once: one call of the kernel instead of one for each line.
    pub fn foresee(&self, noted: &mut Noted) {
        if self.keeps.get() {
            let wanted = noted.lines.keys().copied().collect();
            for gone in self.lines.borrow_mut().fetch(&self.memory, wanted, State::Foreseen) {
                noted.lines.remove(&gone);
            }
        }
    }

    /// From now on, all is as it is when it is asked for.
    pub fn let_go(&self) {
        self.keeps.set(false);
        self.lines.borrow_mut().clear();
    }

    /// What `read` reads is as it is now; what is kept stays.
    pub fn anew<T>(&self, read: impl FnOnce() -> T) -> T {
        let kept = self.keeps.replace(false);
        let result = read();
        self.keeps.set(kept);
        result
    }

    /// The memory as it is now.
    pub fn now(&self) -> &M {
        &self.memory
    }

    /// Copies the part of the line at `line` that `into` is about, which begins at `at`.
    fn copy(&self, line: u64, at: u64, into: &mut [u8]) -> Result<(), Fault> {
        let mut lines = self.lines.borrow_mut();
        if lines.at.len() >= MOST_LINES {
            lines.clear();
        }
        if !lines.at.contains_key(&line) {
            lines.read_block(&self.memory, line)?;
        }
        let bytes = lines.bytes_of(line).ok_or(Fault::Unreadable(RemoteAddr(at)))?;
        // Both begin and end within the line or at its ends.
        let (from, start) = (at.max(line) - line, line.max(at) - at);
        let count = (LINE - from as usize).min(into.len() - start as usize);
        let part = bytes.get(from as usize..from as usize + count).ok_or(Fault::Unreadable(RemoteAddr(at)))?;
        into.get_mut(start as usize..start as usize + count).ok_or(Fault::Unreadable(RemoteAddr(at)))?.copy_from_slice(part);
        Ok(())
    }
}

impl<M: Memory> Memory for View<M> {
    fn read(&self, at: RemoteAddr, into: &mut [u8]) -> Result<(), Fault> {
        if !self.keeps.get() || into.len() > BLOCK || into.is_empty() {
            return self.memory.read(at, into);
        }
        let last = at.0.checked_add(into.len() as u64 - 1).ok_or(Fault::Unreadable(at))?;
        (line_of(at.0)..=last).step_by(LINE).try_for_each(|line| self.copy(line, at.0, into))
    }

    /// Always as it is now.
    fn gather(&self, pieces: &[Piece], into: &mut [u8]) -> Result<usize, Fault> {
        self.memory.gather(pieces, into)
    }

    fn prepare(&self, pieces: &[Piece]) {
        if self.keeps.get() {
            let wanted = pieces.iter().flat_map(lines_of).take(MOST_AT_ONCE).collect();
            self.lines.borrow_mut().fetch(&self.memory, wanted, State::Prepared);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::memory::Image;

    fn image() -> Image {
        let mut image = Image::default();
        image.add(RemoteAddr(0x1000), (0..=255).cycle().take(2 * BLOCK).collect());
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
        let (view, mut noted) = (View::of(image()), Noted::default());
        view.keep();
        assert_eq!(view.u8(RemoteAddr(0x1003)), Ok(3));
        view.note(&mut noted);
        view.keep();
        view.foresee(&mut noted);
        assert_eq!(view.lines.borrow().at.len(), 1);
        assert_eq!(view.u8(RemoteAddr(0x1003)), Ok(3));
        // What nobody asks for any more is not foreseen for ever.
        for _ in 0..=LONGEST_UNASKED {
            view.note(&mut noted);
            view.keep();
            view.foresee(&mut noted);
        }
        view.note(&mut noted);
        assert!(noted.lines.is_empty());
    }

    #[test]
    fn what_is_gone_keeps_nothing_else_from_being_foreseen() {
        let view = View::of(image());
        let mut noted = Noted { lines: [(0x800, 0), (0x1000, 0), (0x9000, 0), (0x1400, 0)].into_iter().collect() };
        view.keep();
        view.foresee(&mut noted);
        // Two of them, with the three lines in between.
        assert_eq!((view.lines.borrow().at.len(), noted.lines.len()), (5, 2));
        assert_eq!((view.u8(RemoteAddr(0x1403)), view.u8(RemoteAddr(0x9003)).is_err()), (Ok(3), true));
    }

    #[test]
    fn what_is_prepared_is_read_in_one_piece_and_not_noted() {
        struct Counting(Image, Cell<usize>);
        impl Memory for Counting {
            fn read(&self, at: RemoteAddr, into: &mut [u8]) -> Result<(), Fault> {
                self.1.set(self.1.get() + 1);
                self.0.read(at, into)
            }
        }
        let (view, mut noted) = (View::of(Counting(image(), Cell::new(0))), Noted::default());
        view.keep();
        view.prepare(&[Piece { at: RemoteAddr(0x1010), len: 1500 }, Piece { at: RemoteAddr(0x1400), len: 8 }]);
        assert_eq!((view.u8(RemoteAddr(0x1003)), view.u8(RemoteAddr(0x1404))), (Ok(3), Ok(4)));
        view.note(&mut noted);
        assert_eq!((view.memory.1.get(), noted.lines.len()), (1, 0));
        assert_eq!(view.anew(|| view.u8(RemoteAddr(0x1003))), Ok(3));
        assert_eq!((view.u8(RemoteAddr(0x1003)), view.memory.1.get()), (Ok(3), 2));
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
