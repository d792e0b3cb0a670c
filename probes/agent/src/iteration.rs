//! Loops over containers: which container a loop's iterator walks, also through the iterators that wrap others; loops that
//! a C function makes. It notes that a loop asked for an element; whether the container changed is for the analysis.

use std::sync::atomic::{AtomicU64, Ordering};

use racetrace_probes::plan::Place;
use racetrace_probes::wire::{Kind, shape};

use crate::access::{self, Next, Site};
use crate::ffi::{Obj, field};
use crate::layout::{Layout, type_flag, type_slot};
use crate::objects::type_info;
use crate::state;
use crate::table::{Table, mix2};
use crate::{object, ring, stacks, tasks};

mod inside;

pub use inside::{consumed, taken};

/// Wrapping iterators that are looked through, and containers that one loop walks at once.
const DEEPEST: u32 = 4;
const MOST: usize = 4;

/// Iterators of the interpreter's own, by what they keep in their first words: the container that they walk, one
/// iterator that they ask, or a tuple of such.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Unknown,
    Container(usize),
    Asks(usize),
    AsksEach(usize),
    /// A range, or its iterator.
    Numbers,
    /// Nothing that can change, or at least nothing that could be seen to.
    Fixed,
}

/// By the type's whole name: builtin types have no module in theirs, while those of classes written in Python never have
/// one; only the flag tells `zip` from a class that the program has named so.
fn how_by_name(name: &str) -> How {
    match name {
        "dict_keyiterator"
        | "dict_valueiterator"
        | "dict_itemiterator"
        | "dict_reversekeyiterator"
        | "dict_reversevalueiterator"
        | "dict_reverseitemiterator"
        | "set_iterator" => How::Container(0),
        "list_iterator" | "list_reverseiterator" | "odict_iterator" => How::Container(1),
        "_collections._deque_iterator"
        | "_collections._deque_reverse_iterator"
        | "collections._deque_iterator"
        | "collections._deque_reverse_iterator" => How::Container(2),
        "enumerate" | "filter" => How::Asks(1),
        "itertools.islice" | "itertools.pairwise" => How::Asks(0),
        "itertools.chain"
        | "itertools.takewhile"
        | "itertools.dropwhile"
        | "itertools.filterfalse"
        | "itertools.starmap"
        | "itertools.accumulate" => How::Asks(1),
        "map" => How::AsksEach(0),
        "zip" => How::AsksEach(1),
        "range" | "range_iterator" | "longrange_iterator" => How::Numbers,
        "str_iterator" | "str_ascii_iterator" | "bytes_iterator" | "tuple_iterator" | "generator" => How::Fixed,
        _ => How::Unknown,
    }
}

/// What was found out about types, by their addresses: such types live as long as the interpreter.
static KNOWN: [AtomicU64; 64] = [const { AtomicU64::new(0) }; 64];

#[inline]
fn how(layout: &Layout, class: Obj) -> How {
    let place = &KNOWN[mix2(class as u64, 0) as usize & 63];
    let known = place.load(Ordering::Relaxed);
    if known >> 8 == class as u64 {
        return unpack(known as u8);
    }
    learn(layout, class, place)
}

#[cold]
fn learn(layout: &Layout, class: Obj, place: &AtomicU64) -> How {
    // SAFETY: tp_name is a NUL-terminated text; the flags are a word of the type.
    let (name, flags) =
        unsafe { (std::ffi::CStr::from_ptr(layout.slot(class, type_slot::NAME)), layout.slot::<u64>(class, type_slot::FLAGS)) };
    let name = name.to_str().unwrap_or("");
    let heap = flags & type_flag::HEAPTYPE != 0;
    let found = if heap && !name.contains('.') { How::Unknown } else { how_by_name(name) };
    if found != How::Unknown || !heap {
        place.store((class as u64) << 8 | u64::from(pack(found)), Ordering::Relaxed);
    }
    found
}

fn pack(how: How) -> u8 {
    let (kind, word) = match how {
        How::Unknown => (0, 0),
        How::Container(word) => (1, word),
        How::Asks(word) => (2, word),
        How::AsksEach(word) => (3, word),
        How::Numbers => (4, 0),
        How::Fixed => (5, 0),
    };
    (word as u8) << 3 | kind
}

fn unpack(packed: u8) -> How {
    let word = usize::from(packed >> 3);
    match packed & 7 {
        1 => How::Container(word),
        2 => How::Asks(word),
        3 => How::AsksEach(word),
        4 => How::Numbers,
        5 => How::Fixed,
        _ => How::Unknown,
    }
}

/// What a loop walks: each container with the iterator that stands in it.
#[derive(Default)]
struct Walked {
    found: [Option<(Obj, Obj)>; MOST],
    count: usize,
}

impl Walked {
    fn of(layout: &Layout, iterator: Obj) -> Walked {
        let mut walked = Walked::default();
        walked.look(layout, iterator, DEEPEST);
        walked
    }

    fn look(&mut self, layout: &Layout, iterator: Obj, depth: u32) {
        if iterator.is_null() || depth == 0 {
            return;
        }
        let word = |at: usize| layout.header + 8 * at;
        // SAFETY: fields of the interpreter's own iterator types, as `how` knows them.
        unsafe {
            match how(layout, layout.type_of(iterator)) {
                How::Unknown | How::Numbers | How::Fixed => {}
                How::Container(at) => self.add(iterator, field(iterator, word(at))),
                How::Asks(at) => self.look(layout, field(iterator, word(at)), depth - 1),
                How::AsksEach(at) => {
                    let each: Obj = field(iterator, word(at));
                    for index in 0..tuple_size(layout, each).min(MOST) {
                        self.look(layout, field(each, tuple_items(layout) + 8 * index), depth - 1);
                    }
                }
            }
        }
    }

    fn add(&mut self, iterator: Obj, container: Obj) {
        if !container.is_null() && self.count < MOST {
            self.found[self.count] = Some((iterator, container));
            self.count += 1;
        }
    }

    fn each(&self) -> impl Iterator<Item = (Obj, Obj)> + '_ {
        self.found.iter().flatten().copied()
    }
}

fn tuple_items(layout: &Layout) -> usize {
    layout.header + if layout.minor >= 14 { 16 } else { 8 }
}

fn tuple_size(layout: &Layout, tuple: Obj) -> usize {
    if tuple.is_null() || layout.type_of(tuple) != object!(PyTuple_Type) {
        return 0;
    }
    layout.tuple_size(tuple)
}

/// Does the loop walk what nobody can change, so that its steps need not be watched? From its beginning, which goes on
/// being watched, it is seen when it walks something else another time.
#[inline]
pub fn may_rest(site: &Site, iterator: Obj) -> bool {
    if iterator.is_null() {
        return false;
    }
    let layout = &site.fixed.layout;
    let fixed = match how(layout, layout.type_of(iterator)) {
        How::Numbers => true,
        How::Fixed => has_beginning(site),
        // SAFETY: that field of the interpreter's own iterator types, after the header.
        How::Container(word) => has_beginning(site) && is_sole(layout, unsafe { field(iterator, layout.header + 8 * word) }),
        How::Unknown | How::Asks(_) | How::AsksEach(_) => false,
    };
    let Some(memory) = site.memory().filter(|memory| fixed && !memory.mixed.load(Ordering::Relaxed)) else { return false };
    memory.rests.store(true, Ordering::Relaxed);
    true
}

fn has_beginning(site: &Site) -> bool {
    site.fixed.layout.minor >= 12 && site.memory().is_some_and(|memory| memory.other.is_some())
}

/// A loop is about to make an iterator of what it walks.
#[inline(never)]
pub fn begins(site: &Site, iterable: Place, depth: u32) -> Next {
    let step = site.memory().and_then(|memory| site.entry.memories.get(memory.other?));
    let Some(step) = step.filter(|step| step.rests.load(Ordering::Relaxed)) else { return Next::Watch };
    let layout = &site.fixed.layout;
    let iterable_object = site.at(iterable, depth);
    if iterable_object.is_null() {
        return Next::Watch;
    }
    let class = layout.type_of(iterable_object);
    let immutable = class == object!(PyTuple_Type)
        || class == object!(PyUnicode_Type)
        || class == object!(PyBytes_Type)
        || matches!(how(layout, class), How::Fixed | How::Numbers);
    let sole = || {
        let is_container = class == object!(PyList_Type) || class == object!(PyDict_Type) || class == object!(PySet_Type);
        is_container && site.owned_at(iterable, depth).is_some_and(|iterable| layout.is_sole(iterable))
    };
    if immutable || sole() {
        return Next::Watch;
    }
    step.rests.store(false, Ordering::Relaxed);
    step.mixed.store(true, Ordering::Relaxed);
    Next::WatchAll
}

/// Nobody else can reach it.
fn is_sole(layout: &Layout, container: Obj) -> bool {
    !container.is_null() && layout.is_sole(container)
}

/// The loop asks for the next element. The first time that an iterator is seen, its walk begins; it ends when the
/// iterator is freed, however the loop is left.
#[inline(never)]
pub fn next(site: &Site, iterator: Place, depth: u32) {
    let layout = &site.fixed.layout;
    let object = site.at(iterator, depth);
    if object.is_null() {
        return;
    }
    // From 3.15 on a loop over a list has no iterator: the list itself lies there, with the index above it.
    if layout.minor >= 15 && layout.type_of(object) == object!(PyList_Type) {
        let index = match iterator {
            Place::Stack(down) if down >= 2 => site.raw(Place::Stack(down - 1), depth) >> 2,
            _ => return,
        };
        let id = mix2(site.frame as u64, u64::from(site.offset)) | VIRTUAL;
        if site.owned_at(iterator, depth).is_some_and(|list| layout.is_sole(list)) {
            return; // nobody else can reach it
        }
        let step = state::with(|state, _| state.iterations.next(id, site.thread.epoch(), index == 0));
        return asks(site, step, object, |_| id);
    }
    // SAFETY: that field of the interpreter's own iterator types, after the header.
    match how(layout, layout.type_of(object)) {
        How::Container(word) => {
            steps(site, object, unsafe { field(object, layout.header + 8 * word) });
            site.met(|met, state| {
                met.walk(object, state, site.thread.epoch());
                Some(())
            });
        }
        How::Asks(_) | How::AsksEach(_) => {
            Walked::of(layout, object).each().for_each(|(iterator, container)| steps(site, iterator, container));
        }
        How::Unknown | How::Numbers | How::Fixed => {}
    }
}

/// Is it the same loop over a container as at the last step here, with nothing done to any container and no
/// synchronisation since?
#[inline(always)]
pub fn is_uneventful(site: &Site, iterator: Obj) -> bool {
    site.met(|met, state| met.walks(iterator, state, site.thread.epoch()).then_some(())).is_some()
}

fn steps(site: &Site, iterator: Obj, container: Obj) {
    let layout = &site.fixed.layout;
    if container.is_null() || layout.is_sole(container) {
        return;
    }
    type_info(layout, layout.type_of(iterator));
    let step = state::within(site.fixed, |state, _| state.iterations.next(iterator as u64, site.thread.epoch(), false));
    asks(site, step, container, |state| state.objects.identity(iterator));
}

/// Set in the ids of walks that have no iterator, and of those that a function makes.
const VIRTUAL: u64 = 1 << 63;

fn asks(site: &Site, step: Option<Step>, container: Obj, identity: impl FnOnce(&mut state::State) -> u64) {
    let kind = match step {
        Some(Step::Begins) => Kind::IterBegin,
        Some(Step::GoesOn) => Kind::IterNext,
        _ => return,
    };
    say(site, &[kind], container, identity);
}

fn say(site: &Site, kinds: &[Kind], container: Obj, identity: impl FnOnce(&mut state::State) -> u64) {
    let layout = &site.fixed.layout;
    let Some(info) = access::info(site, container) else { return };
    if !matches!(info.shape, shape::DICT | shape::LIST | shape::SET | shape::DEQUE) {
        return;
    }
    tasks::strand(site.fixed, site.thread, site.frame);
    let stack = stacks::stack(site.fixed, site.frame, Some(site.offset));
    state::with(|state, _| {
        let iterator = identity(state);
        let container_id = state.objects.id(layout, &mut state.names, container, info.shape, None);
        if iterator == 0 || container_id == 0 {
            return;
        }
        for kind in kinds {
            let mut slot = ring::slot(*kind, site.thread.tid());
            (slot.stack, slot.d, slot.a, slot.b) = (stack, site.frame as u64, container_id, iterator);
            slot.c = length(layout, container, info.shape);
            state.say(layout, site.thread, slot);
        }
    });
}

/// How many elements a container has.
fn length(layout: &Layout, container: Obj, kind: u8) -> u64 {
    let place = if kind == shape::SET { layout.header + 8 } else { layout.header };
    // SAFETY: dicts, lists and deques have their size after the header, sets after the number of used places.
    unsafe { field(container, place) }
}

/// What an iterator's `next` means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Begins,
    /// Something may have happened since the last element.
    GoesOn,
    Uneventful,
}

/// The walks under way, by iterator.
pub struct Iterations {
    seen: Table,
    changes: u64,
}

impl Iterations {
    pub fn new() -> Iterations {
        Iterations { seen: Table::new(1 << 12), changes: 1 }
    }

    pub fn changed(&mut self) {
        self.changes += 1;
    }

    /// Counts changes of containers.
    #[inline(always)]
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Has the walk come to where nothing that happened before matters to its next step?
    pub fn has_settled(&self, iterator: Obj, epoch: u32) -> bool {
        self.seen.get(iterator as u64) == Some(mix2(self.changes, u64::from(epoch)))
    }

    pub fn ended(&mut self, iterator: Obj) {
        self.seen.remove(iterator as u64);
    }

    /// `anew`: whatever was known under this id is over. The second element is always asked for aloud: from there on
    /// others can come between.
    fn next(&mut self, iterator: u64, epoch: u32, anew: bool) -> Step {
        let mark = mix2(self.changes, u64::from(epoch));
        match self.seen.get(iterator).filter(|_| !anew) {
            Some(before) if before == mark => Step::Uneventful,
            Some(_) => {
                self.seen.set(iterator, mark);
                Step::GoesOn
            }
            None if self.seen.set(iterator, BEGUN) => Step::Begins,
            None => Step::Uneventful,
        }
    }
}

/// Stands for the marks of walks that have only begun.
const BEGUN: u64 = 1;
