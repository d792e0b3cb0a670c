//! What a watch met last, so that meeting the same again costs a few comparisons. It decides nothing: everything in it was
//! decided elsewhere, and says under which conditions it still holds.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32};

use racetrace_probes::method::{self, Function, Method};
use racetrace_probes::plan::{Operation, Place, Watch};
use racetrace_probes::wire::action;

use crate::ffi::Obj;
use crate::layout::{Layout, type_slot};
use crate::state::State;

/// Between the beginning of a loop and its first step lie a few instructions at most (those of an inlined comprehension).
const CLOSE: u32 = 16;

/// One watch's memory.
pub struct Memory {
    /// Only touched inside the gate.
    met: UnsafeCell<Met>,
    /// What the watched call does, if it is one of these.
    pub methods: &'static [Method],
    pub function: Option<&'static Function>,
    /// Of the beginning of a loop, its step; of a step, the beginning.
    pub other: Option<usize>,
    /// The step of a loop that walked what cannot change is not watched any more.
    pub rests: AtomicBool,
    /// The loop walks now this, now that.
    pub mixed: AtomicBool,
    /// What is known of whether the watch is needed (see `variables`).
    pub rested: AtomicU32,
    /// What was found to be the builtin function: its definition, or a type. Neither is ever freed.
    pub callable: AtomicPtr<u8>,
    /// The watch in short, if it is of the common ones.
    pub short: Option<Short>,
}

/// A watched instruction in short: what it does to what, and where in the frame its operands lie.
#[derive(Clone, Copy)]
pub struct Short {
    pub way: Way,
    pub action: u8,
    /// Slots of the frame, locals first; [`NO_SLOT`] where there is no such operand.
    pub object: u32,
    pub key: u32,
    pub value: u32,
    /// Borrowed from the code object.
    pub name: Obj,
}

pub const NO_SLOT: u32 = u32::MAX;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Global,
    Attribute,
    Item,
}

/// The code that watches are in, as far as it says where operands lie.
#[derive(Clone, Copy)]
pub struct Frames<'a> {
    pub layout: &'a Layout,
    pub nlocalsplus: usize,
    /// The code object's tuple.
    pub names: Obj,
}

impl Short {
    fn of(watch: &Watch, frames: Frames) -> Option<Short> {
        let slot_of = |place: Place| match place {
            Place::Stack(down @ 1..) => (frames.nlocalsplus as u32 + watch.depth).checked_sub(down),
            Place::Local(slot) => Some(slot),
            _ => None,
        };
        let name = |index: u32| frames.layout.tuple_item(frames.names, index);
        let short = |way, action, object, key, value, name| Some(Short { way, action, object, key, value, name });
        let none = std::ptr::null_mut();
        match watch.operation {
            Operation::GlobalRead { name: at } => short(Way::Global, action::READ, NO_SLOT, NO_SLOT, NO_SLOT, name(at)),
            Operation::GlobalWrite { name: at, value } => {
                short(Way::Global, action::WRITE, NO_SLOT, NO_SLOT, slot_of(value)?, name(at))
            }
            Operation::AttributeRead { object, name: at } => {
                short(Way::Attribute, action::READ, slot_of(object)?, NO_SLOT, NO_SLOT, name(at))
            }
            Operation::AttributeWrite { object, name: at, value } => {
                short(Way::Attribute, action::WRITE, slot_of(object)?, NO_SLOT, slot_of(value)?, name(at))
            }
            Operation::ItemRead { container, key } | Operation::Contains { container, key } => {
                short(Way::Item, action::READ, slot_of(container)?, slot_of(key)?, NO_SLOT, none)
            }
            Operation::ItemWrite { container, key, value } => {
                short(Way::Item, action::WRITE, slot_of(container)?, slot_of(key)?, slot_of(value)?, none)
            }
            _ => None,
        }
    }
}

// SAFETY: what can change is atomic or only touched inside the gate (see `Memory::get`).
unsafe impl Sync for Memory {}
// SAFETY: as above; addresses in it are compared and never followed.
unsafe impl Send for Memory {}

impl Memory {
    fn of(watch: &Watch, frames: Frames) -> Memory {
        let operation = &watch.operation;
        let methods = match operation {
            Operation::MethodCall { method, .. } => method::methods(method),
            _ => &[],
        };
        let function = match operation {
            Operation::FunctionCall { function, .. } => method::function_named(function),
            _ => None,
        };
        Memory {
            met: UnsafeCell::new(Met::NOTHING),
            methods,
            function,
            other: None,
            rests: AtomicBool::new(false),
            mixed: AtomicBool::new(false),
            rested: AtomicU32::new(0),
            callable: AtomicPtr::new(std::ptr::null_mut()),
            short: Short::of(watch, frames),
        }
    }

    /// One for each watch.
    pub fn all(watches: &[Watch], frames: Frames) -> Box<[Memory]> {
        let mut all: Box<[Memory]> = watches.iter().map(|watch| Memory::of(watch, frames)).collect();
        let mut begun = None;
        for (number, watch) in watches.iter().enumerate() {
            match watch.operation {
                Operation::IterBegin { .. } => begun = Some((number, watch.offset)),
                Operation::IterNext { .. } => {
                    let begin = begun.take().filter(|(_, offset)| watch.offset - offset <= CLOSE).map(|(begin, _)| begin);
                    if let Some(begin) = begin {
                        all[begin].other = Some(number);
                        all[number].other = Some(begin);
                    }
                }
                _ => {}
            }
        }
        all
    }

    /// # Safety
    /// Called inside the gate, and not kept beyond it.
    #[expect(clippy::mut_from_ref, reason = "the gate makes it exclusive")]
    #[inline(always)]
    pub unsafe fn get(&self) -> &mut Met {
        // SAFETY: said by the caller.
        unsafe { &mut *self.met.get() }
    }
}

#[derive(Clone, Copy)]
pub struct Met {
    /// A subject and its id: as long as the era of its address is the same.
    object: Obj,
    id: u64,
    era: u64,
    /// A key's id, defined to the ring as long as no definitions were forgotten.
    key: u64,
    key_era: u32,
    /// The name in the instruction, and the key that it is.
    name: (Obj, u64),
    /// The cell of the subject and the key in `recent`.
    pub cell: u32,
    /// A class, as long as it is not changed, and what was found out about its instances.
    class: Obj,
    version: u32,
    verdict: u8,
    /// The loop that was stepped last here: its iterator, the era of that one's address, and when nothing was to be said.
    walk: (Obj, u64, u64, u32),
}

impl Met {
    const NOTHING: Met = Met {
        object: std::ptr::null_mut(),
        id: 0,
        era: 0,
        key: 0,
        key_era: 0,
        name: (std::ptr::null_mut(), 0),
        cell: 0,
        class: std::ptr::null_mut(),
        version: 0,
        verdict: 0,
        walk: (std::ptr::null_mut(), 0, 0, 0),
    };

    /// The subject's id.
    #[inline(always)]
    pub fn id(&self, object: Obj, era: u64) -> Option<u64> {
        (self.object == object && self.era == era).then_some(self.id)
    }

    #[inline(always)]
    pub fn has_key(&self, key: u64, era: u32) -> bool {
        self.key == key && self.key_era == era
    }

    /// The key that the name in the instruction is.
    #[inline(always)]
    pub fn key_of(&self, name: Obj) -> Option<u64> {
        (self.name.0 == name).then_some(self.name.1)
    }

    pub fn remember_name(&mut self, name: Obj, key: u64) {
        self.name = (name, key);
    }

    pub fn meet(&mut self, object: Obj, id: u64, era: u64, key: u64, key_era: u32) {
        (self.object, self.id, self.era) = (object, id, era);
        (self.key, self.key_era) = (key, key_era);
        self.cell = crate::recent::cell_of(object, key);
    }

    /// Is there nothing to be said of this step of the loop, as there was not of the last?
    #[inline(always)]
    pub fn walks(&self, iterator: Obj, state: &State, epoch: u32) -> bool {
        self.walk == (iterator, state.objects.era(iterator), state.iterations.changes(), epoch)
    }

    /// A step of a loop over one container was told of as far as need be.
    pub fn walk(&mut self, iterator: Obj, state: &State, epoch: u32) {
        self.walk = match state.iterations.has_settled(iterator, epoch) {
            true => (iterator, state.objects.era(iterator), state.iterations.changes(), epoch),
            false => (std::ptr::null_mut(), 0, 0, 0),
        };
    }

    /// What was found out about instances of the class.
    #[inline(always)]
    pub fn verdict(&self, layout: &Layout, class: Obj) -> Option<u8> {
        (self.class == class && self.version == version(layout, class)).then_some(self.verdict)
    }

    /// `version` is the class's from before the verdict was found. A class without one does not say when it is changed.
    pub fn judge(&mut self, class: Obj, version: u32, verdict: u8) {
        if version != 0 {
            (self.class, self.version, self.verdict) = (class, version, verdict);
        }
    }
}

#[inline(always)]
pub fn version(layout: &Layout, class: Obj) -> u32 {
    // SAFETY: `class` is a type object; its version tag changes with every change of it or its bases.
    unsafe { layout.slot(class, type_slot::VERSION_TAG) }
}
