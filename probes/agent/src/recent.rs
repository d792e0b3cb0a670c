//! Drops what is redundant: an access by the same strand at the same site to the same subject, when neither has this
//! strand synchronised nor another strand touched the subject since. What was dropped last is kept, and written after
//! all, in its place, as soon as one of these happens: so a window that is being split is never lost.

use racetrace_probes::wire::{Kind, Slot};

use crate::ring;
use crate::table::mix2;
use crate::thread;

const CELLS: usize = 1 << 16;
const SITES: usize = 4;

pub struct Recent {
    cells: Box<[Cell]>,
}

#[derive(Clone, Copy)]
struct Cell {
    object: u64,
    key: u64,
    strand: u64,
    epoch: u32,
    /// A thread's list of cells with something held back names this one.
    listed: bool,
    sites: [u64; SITES],
    /// The stacks under which the sites were recorded.
    stacks: [u32; SITES],
    held: [Slot; 2],
    holds: u8,
}

const EMPTY_SLOT: Slot =
    Slot { stamp: 0, time: 0, tid: 0, kind: 0, small: 0, short: 0, stack: 0, word: 0, a: 0, b: 0, c: 0, d: 0 };
const EMPTY: Cell = Cell {
    object: 0,
    key: 0,
    strand: 0,
    epoch: 0,
    listed: false,
    sites: [0; SITES],
    stacks: [0; SITES],
    held: [EMPTY_SLOT; 2],
    holds: 0,
};

/// What to do with an access.
pub enum Verdict {
    /// It is to be recorded with its stack; say so to [`Recent::recorded`].
    Record(Place),
    Drop,
}

/// Where the stack of a recorded site is to be noted.
#[derive(Clone, Copy)]
pub struct Place {
    cell: u32,
    site: Option<u8>,
}

impl Recent {
    pub fn new() -> Recent {
        Recent { cells: vec![EMPTY; CELLS].into_boxed_slice() }
    }

    pub fn clear(&mut self) {
        self.cells.fill(EMPTY);
    }

    /// Looks whether the access in `slot` (without its stack yet) is redundant.
    #[inline]
    pub fn judge(&mut self, slot: &Slot, strand: u64, site: u64) -> Verdict {
        let index = mix2(slot.a, slot.b) as usize & (CELLS - 1);
        let cell = &mut self.cells[index];
        let epoch = thread::epoch();
        if cell.object == slot.a && cell.key == slot.b && cell.strand == strand && cell.epoch == epoch {
            if let Some(at) = cell.sites.iter().position(|&known| known == site) {
                if cell.listed || thread::hold(index as u32) {
                    cell.listed = true;
                    cell.hold(Slot { stack: cell.stacks[at], ..*slot });
                    return Verdict::Drop;
                }
                return Verdict::Record(Place { cell: index as u32, site: None });
            }
            cell.flush();
            let free = cell.sites.iter().position(|&known| known == 0);
            if let Some(at) = free {
                cell.sites[at] = site;
            }
            return Verdict::Record(Place { cell: index as u32, site: free.map(|at| at as u8) });
        }
        cell.flush();
        *cell = Cell { object: slot.a, key: slot.b, strand, epoch, ..EMPTY };
        cell.sites[0] = site;
        Verdict::Record(Place { cell: index as u32, site: Some(0) })
    }

    /// The access was recorded under `stack`: the same site, held back later, is shown under it too.
    pub fn recorded(&mut self, place: Place, stack: u32) {
        if let (Some(cell), Some(site)) = (self.cells.get_mut(place.cell as usize), place.site) {
            cell.stacks[usize::from(site)] = stack;
        }
    }

    /// Before this thread says anything about synchronisation: what was held back comes first.
    pub fn flush_thread(&mut self) {
        thread::take_held(|index| {
            if let Some(cell) = self.cells.get_mut(index as usize) {
                // Another strand may have taken the cell over; then there is nothing of ours left in it.
                if cell.holds > 0 && cell.held[0].tid == thread::tid() {
                    cell.flush();
                }
                cell.listed = false;
            }
        });
    }
}

impl Cell {
    /// Keeps the last two (a read and the write that follows it).
    fn hold(&mut self, slot: Slot) {
        if self.holds == 2 {
            self.held[0] = self.held[1];
            self.holds = 1;
        }
        self.held[self.holds as usize] = slot;
        self.holds += 1;
    }

    fn flush(&mut self) {
        for slot in &self.held[..self.holds as usize] {
            debug_assert_eq!(slot.kind, Kind::Access as u8);
            ring::push(*slot);
        }
        self.holds = 0;
        self.listed = false;
    }
}
