//! Drops what is redundant: an access by the same strand at the same site to the same subject, when neither has this
//! strand synchronised nor another strand touched the subject since. What was dropped last is kept, and written after
//! all, in its place, as soon as one of these happens: so a window that is being split is never lost. And before a subject
//! goes from one strand to another, whatever is kept of these two is written, so that it is not taken for later.

use std::alloc::{Layout, alloc_zeroed, handle_alloc_error};
use std::sync::atomic::{AtomicU64, Ordering};

use racetrace_probes::wire::Kind;

use crate::ffi::Obj;
use crate::ring;
use crate::table::mix2;
use crate::thread::Thread;

const CELLS: usize = 1 << 13;
const SITES: usize = 5;
/// Both places for what is held back are taken.
const FULL: u32 = 2;
const FULL_TURNED: u32 = 3;

pub struct Recent {
    cells: Box<[Cell]>,
    /// Two subjects go on taking one cell from each other: nothing of them is redundant then.
    pub is_crowded: bool,
    /// How often cells were dealt out anew.
    deals: u32,
}

/// After so many turns cells are dealt out anew, for so many times.
const TURNS: u32 = 64;
const DEALS: u32 = 16;
/// Which cells subjects have, in this deal.
static DEAL: AtomicU64 = AtomicU64::new(0);

/// All zero when it is empty.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Cell {
    object: u64,
    key: u64,
    strand: u64,
    /// The thread whose list of cells with something held back names this one, as an address.
    lister: usize,
    epoch: u32,
    /// How many are held back; and [`FULL_TURNED`] if the second is the older one.
    holds: u32,
    sites: [u64; SITES],
    held: [Deed; 2],
    /// The stacks under which the sites were recorded.
    stacks: [u32; SITES],
    /// The lister's.
    tid: u32,
    /// The thread that ran the strand, as an address.
    thread: usize,
    /// The subject that it was before, and how often the two have taken it from each other in a row.
    before: (u64, u64),
    turns: u32,
}

/// What an access did, besides what its cell says: the action and the value as in its record.
#[derive(Clone, Copy)]
pub struct Deed {
    pub value: u64,
    pub frame: u64,
    pub value_text: u32,
    pub value_kind: u16,
    pub action: u8,
    /// Which of the cell's sites; filled in here.
    site: u8,
}

impl Deed {
    pub const NOTHING: Deed = Deed { value: 0, frame: 0, value_text: 0, value_kind: 0, action: 0, site: 0 };
}

const EMPTY: Cell = Cell {
    object: 0,
    key: 0,
    strand: 0,
    lister: 0,
    epoch: 0,
    holds: 0,
    sites: [0; SITES],
    held: [Deed::NOTHING; 2],
    stacks: [0; SITES],
    tid: 0,
    thread: 0,
    before: (0, 0),
    turns: 0,
};

/// An access by a strand, without its stack yet.
#[derive(Clone, Copy)]
pub struct Candidate {
    pub thread: &'static Thread,
    pub strand: u64,
    /// Code and instruction.
    pub site: u64,
    /// The subject, and its cell.
    pub object: u64,
    pub key: u64,
    pub cell: u32,
}

/// Where the stack of a recorded site is to be noted, if the cell is still that strand's by then.
#[derive(Clone, Copy)]
pub struct Place {
    cell: u32,
    index: Option<u8>,
    site: u64,
    strand: u64,
}

/// The cell of a subject: by its address, so that objects which come and go in one place have one cell.
#[inline(always)]
pub fn cell_of(object: Obj, key: u64) -> u32 {
    (mix2(object as u64 ^ DEAL.load(Ordering::Relaxed), key) as usize & (CELLS - 1)) as u32
}

impl Recent {
    pub fn new() -> Recent {
        let layout = Layout::array::<Cell>(CELLS).unwrap_or(Layout::new::<Cell>());
        // SAFETY: the layout has a size, memory for that many cells is handed over to the box, and all zero is a cell.
        let cells = unsafe {
            let memory = alloc_zeroed(layout).cast::<Cell>();
            if memory.is_null() {
                handle_alloc_error(layout);
            }
            Box::from_raw(std::ptr::slice_from_raw_parts_mut(memory, layout.size() / size_of::<Cell>()))
        };
        Recent { cells, is_crowded: false, deals: 0 }
    }

    pub fn clear(&mut self) {
        self.cells.fill(EMPTY);
    }

    /// Subjects get other cells, from the next time on that they are met (see `met`).
    #[cold]
    pub fn deal_anew(&mut self) {
        for cell in &mut self.cells {
            cell.flush();
            *cell = EMPTY;
        }
        self.deals += 1;
        self.is_crowded = false;
        DEAL.store(mix2(u64::from(self.deals), 0), Ordering::Relaxed);
    }

    /// Where to note what the access did, if it is redundant and its thread has something held back there already.
    #[inline(always)]
    pub fn repeats(&mut self, access: &Candidate) -> Option<&mut Deed> {
        let cell = self.cells.get_mut(access.cell as usize)?;
        if !cell.is_of(access) || cell.lister != std::ptr::from_ref(access.thread) as usize {
            return None;
        }
        let known = cell.sites.iter().position(|&site| site == access.site)?;
        Some(cell.hold(known))
    }

    /// Looks whether the access is redundant. If it is not, it is to be recorded with its stack; say so to
    /// [`Recent::recorded`].
    pub fn judge(&mut self, access: &Candidate, deed: Deed) -> Option<Place> {
        let cell = self.cells.get_mut(access.cell as usize)?;
        let place = |index| Some(Place { cell: access.cell, index, site: access.site, strand: access.strand });
        if !cell.is_of(access) {
            cell.flush();
            let crowded = cell.is_taken_in_turns(access) && self.deals < DEALS;
            self.is_crowded |= crowded;
            let same = cell.object == access.object && cell.key == access.key;
            let before = (same && cell.strand != access.strand).then_some(cell.thread);
            (cell.object, cell.key, cell.strand) = (access.object, access.key, access.strand);
            cell.thread = std::ptr::from_ref(access.thread) as usize;
            cell.epoch = access.thread.epoch();
            cell.sites = [0; SITES];
            cell.sites[0] = access.site;
            if let Some(before) = before {
                self.passes_over(before, access.thread);
            }
            return place(Some(0));
        }
        let Some(known) = cell.sites.iter().position(|&site| site == access.site) else {
            cell.flush();
            let free = cell.sites.iter().position(|&site| site == 0);
            if let Some(free) = free {
                cell.sites[free] = access.site;
            }
            return place(free.map(|free| free as u8));
        };
        if cell.lister != std::ptr::from_ref(access.thread) as usize {
            self.list(access.cell, access.thread);
        }
        let held = self.cells[access.cell as usize].hold(known);
        *held = Deed { site: held.site, ..deed };
        None
    }

    /// A subject passes from one strand to another, who may learn from it that the first has come so far: what both have done
    /// until now comes first.
    #[cold]
    fn passes_over(&mut self, before: usize, thread: &'static Thread) {
        // SAFETY: the address of a thread's own data, which is never freed.
        if let Some(before) = unsafe { (before as *const Thread).as_ref() } {
            self.flush_thread(before);
        }
        self.flush_thread(thread);
    }

    /// The thread's list names the cell from here on. When the list is full, all of it is written.
    #[cold]
    fn list(&mut self, at: u32, thread: &'static Thread) {
        // SAFETY: `Recent` is only reached inside the gate.
        if !unsafe { thread.hold_back(at) } {
            self.flush_thread(thread);
            // SAFETY: as above.
            unsafe { thread.hold_back(at) };
        }
        let cell = &mut self.cells[at as usize];
        (cell.lister, cell.tid) = (std::ptr::from_ref(thread) as usize, thread.tid());
    }

    /// The access was recorded under `stack`: the same site, held back later, is shown under it too.
    pub fn recorded(&mut self, place: Place, stack: u32) {
        let (Some(cell), Some(index)) = (self.cells.get_mut(place.cell as usize), place.index.map(usize::from)) else { return };
        // Without a GIL another strand may have taken the cell since the access was judged.
        if cell.strand == place.strand && cell.sites[index] == place.site {
            cell.stacks[index] = stack;
        }
    }

    /// A subject ends: what the thread that ends it holds back of it is of no concern to anybody.
    pub fn forget(&mut self, thread: &'static Thread, object: u64) {
        // SAFETY: `Recent` is only reached inside the gate.
        for &at in unsafe { thread.held_back() } {
            if let Some(cell) = self.cells.get_mut(at as usize).filter(|cell| cell.object == object) {
                cell.holds = 0;
            }
        }
    }

    /// Before a thread says anything about synchronisation: what was held back comes first.
    pub fn flush_thread(&mut self, thread: &'static Thread) {
        let own = std::ptr::from_ref(thread) as usize;
        // SAFETY: `Recent` is only reached inside the gate.
        unsafe {
            thread.take_held_back(|index| {
                // Another thread may have taken the cell over; then there is nothing of this one's left in it.
                if let Some(cell) = self.cells.get_mut(index as usize).filter(|cell| cell.lister == own) {
                    cell.flush();
                    cell.lister = 0;
                }
            });
        }
    }
}

impl Cell {
    /// Is it this strand's, for this subject, since it synchronised last?
    #[inline(always)]
    fn is_of(&self, access: &Candidate) -> bool {
        self.object == access.object
            && self.key == access.key
            && self.strand == access.strand
            && self.epoch == access.thread.epoch()
    }

    /// Its subject is about to be another one: do these two take turns?
    fn is_taken_in_turns(&mut self, access: &Candidate) -> bool {
        let (now, next) = ((self.object, self.key), (access.object, access.key));
        if now != next {
            self.turns = if self.before == next { self.turns + 1 } else { 0 };
            self.before = now;
        }
        self.turns >= TURNS
    }

    /// The place of one that is held back: the last two are kept (a read and the write that follows it).
    #[inline(always)]
    fn hold(&mut self, site: usize) -> &mut Deed {
        let held = &mut self.held[self.holds as usize & 1];
        self.holds = if self.holds == FULL_TURNED { FULL } else { self.holds + 1 };
        held.site = site as u8;
        held
    }

    fn flush(&mut self) {
        let [first, second] = &self.held;
        let held: &[&Deed] = match self.holds {
            0 => &[],
            1 => &[first],
            FULL => &[first, second],
            _ => &[second, first],
        };
        for held in held {
            let mut slot = ring::slot(Kind::Access, self.tid);
            (slot.a, slot.b, slot.small) = (self.object, self.key, held.action);
            (slot.short, slot.word, slot.c) = (held.value_kind, held.value_text, held.value);
            slot.d = held.frame;
            slot.stack = self.stacks.get(usize::from(held.site)).copied().unwrap_or(0);
            ring::push(slot);
        }
        self.holds = 0;
    }
}
