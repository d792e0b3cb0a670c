//! From an instruction about to be executed to records of the accesses it makes: finds the operands on the frame's value
//! stack, decides whether they are a subject, and writes what is not redundant. It runs on the hot path: it allocates
//! no Python object, runs no Python code and changes nothing.

use racetrace_probes::plan::{Operation, Place, Watch};
use racetrace_probes::wire::{Kind, action, shape};

use crate::codes::Entry;
use crate::ffi::{self, Obj, field};
use crate::layout::{Layout, type_slot};
use crate::names::{KeyKind, utf8};
use crate::objects::{TypeInfo, type_info};
use crate::recent::Verdict;
use crate::state::{self, Fixed};
use crate::{containers, object, ring, stacks, tasks, thread};

/// A frame at an instruction, with what is needed to find operands.
pub struct Site<'a> {
    pub fixed: &'a Fixed,
    pub entry: &'static Entry,
    pub frame: Obj,
    pub offset: u32,
}

/// A subject that is touched.
pub struct Touch {
    pub object: Obj,
    pub shape: u8,
    pub key: Key,
    pub action: u8,
    pub value: Obj,
}

#[derive(Clone, Copy)]
pub enum Key {
    Whole,
    Name(Obj),
    Item(Obj),
}

impl Site<'_> {
    fn layout(&self) -> &Layout {
        &self.fixed.layout
    }

    /// The object at an operand's place; null when the place is not filled.
    #[inline(always)]
    pub fn at(&self, place: Place, depth: u32) -> Obj {
        match place {
            Place::Stack(down) => match (self.entry.nlocalsplus + depth as usize).checked_sub(down as usize) {
                Some(index) if down >= 1 => self.layout().local(self.frame, index),
                _ => std::ptr::null_mut(),
            },
            Place::Local(slot) => self.layout().local(self.frame, slot as usize),
            Place::Const(index) => self.tuple_item(self.entry.consts, index),
            Place::Name(index) => self.tuple_item(self.entry.names, index),
        }
    }

    #[inline(always)]
    fn tuple_item(&self, tuple: Obj, index: u32) -> Obj {
        let items = self.layout().header + if self.layout().minor >= 14 { 16 } else { 8 };
        // SAFETY: the index comes from the code object's own bytecode, which the plan has checked against the tuple.
        unsafe { field(tuple, items + 8 * index as usize) }
    }

    fn name(&self, index: u32) -> Key {
        Key::Name(self.tuple_item(self.entry.names, index))
    }
}

/// An instruction with watches is about to run. False: this place need not be watched any more.
#[inline]
pub fn at_instruction(site: &Site) -> bool {
    let watches = site.entry.watches(site.offset);
    if let [Watch { operation: Operation::IterNext { iterator }, depth, .. }] = watches
        && containers::counts_numbers(site, site.at(*iterator, *depth))
    {
        return site.entry.plan.enter == Some(site.offset);
    }
    for watch in watches {
        touch_watch(site, watch);
    }
    if site.entry.plan.enter == Some(site.offset) {
        let mut slot = ring::slot(Kind::Enter, thread::tid());
        slot.d = site.frame as u64;
        slot.word = site.entry.id;
        state::with(|state, _| state.recent.flush_thread());
        ring::push(slot);
    }
    true
}

#[inline]
fn touch_watch(site: &Site, watch: &Watch) {
    let depth = watch.depth;
    let at = |place: Place| site.at(place, depth);
    match &watch.operation {
        Operation::GlobalRead { name } => global(site, *name, action::READ, std::ptr::null_mut()),
        Operation::GlobalWrite { name, value } => global(site, *name, action::WRITE, at(*value)),
        Operation::GlobalDelete { name } => global(site, *name, action::DELETE, std::ptr::null_mut()),
        Operation::CellRead { slot } => cell(site, *slot, action::READ, std::ptr::null_mut()),
        Operation::CellWrite { slot, value } => cell(site, *slot, action::WRITE, at(*value)),
        Operation::CellDelete { slot } => cell(site, *slot, action::DELETE, std::ptr::null_mut()),
        Operation::AttributeRead { object, name } => {
            attribute(site, at(*object), site.name(*name), action::READ, std::ptr::null_mut())
        }
        Operation::AttributeWrite { object, name, value } => {
            attribute(site, at(*object), site.name(*name), action::WRITE, at(*value));
        }
        Operation::AttributeDelete { object, name } => {
            attribute(site, at(*object), site.name(*name), action::DELETE, std::ptr::null_mut())
        }
        Operation::ItemRead { container, key } => {
            containers::item(site, at(*container), at(*key), action::READ, std::ptr::null_mut())
        }
        Operation::ItemWrite { container, key, value } => {
            containers::item(site, at(*container), at(*key), action::WRITE, at(*value));
        }
        Operation::ItemDelete { container, key } => {
            containers::item(site, at(*container), at(*key), action::DELETE, std::ptr::null_mut())
        }
        Operation::Contains { container, key } => {
            containers::item(site, at(*container), at(*key), action::READ, std::ptr::null_mut())
        }
        Operation::Truth { container } => containers::whole(site, at(*container), action::READ),
        Operation::InPlace { container } => containers::whole(site, at(*container), action::UPDATE),
        Operation::SliceRead { container } => containers::whole(site, at(*container), action::READ),
        Operation::SliceWrite { container, .. } => containers::whole(site, at(*container), action::REPLACE),
        Operation::MethodCall { .. } => containers::method(site, depth, &watch.operation),
        Operation::FunctionCall { function, callable, first, arguments } => {
            containers::function(site, function, at(*callable), *first, *arguments, depth);
        }
        Operation::IterBegin { iterable } => containers::iteration(site, at(*iterable)),
        Operation::IterNext { iterator } => containers::next(site, at(*iterator)),
    }
}

fn global(site: &Site, name: u32, action: u8, value: Obj) {
    let globals = site.layout().globals(site.frame);
    if action == action::READ && !has_item(globals, site.tuple_item(site.entry.names, name)) {
        return; // a builtin
    }
    record(site, Touch { object: globals, shape: shape::MODULE, key: site.name(name), action, value });
}

fn has_item(dict: Obj, key: Obj) -> bool {
    // SAFETY: a dict with str keys, looked up with an interned str: runs no Python code.
    unsafe { ffi::PyDict_Contains(dict, key) == 1 }
}

fn cell(site: &Site, slot: u32, action: u8, value: Obj) {
    let cell = site.layout().local(site.frame, slot as usize);
    if !cell.is_null() && site.layout().type_of(cell) == object!(PyCell_Type) {
        type_info(site.layout(), object!(PyCell_Type));
        record(site, Touch { object: cell, shape: shape::CELL, key: Key::Whole, action, value });
    }
}

/// An attribute, where it is plain data: of a module, an instance or a class, not computed by anyone's code.
pub fn attribute(site: &Site, object: Obj, key: Key, action: u8, value: Obj) {
    let Key::Name(name) = key else { return };
    if object.is_null() || name.is_null() {
        return;
    }
    let layout = site.layout();
    let class = layout.type_of(object);
    let info = type_info(layout, class);
    if info.shape == shape::MODULE {
        // SAFETY: `object` is a module.
        let globals = unsafe { ffi::PyModule_GetDict(object) };
        return record(site, Touch { object: globals, shape: shape::MODULE, key, action, value });
    }
    if !info.plain_attributes || info.per_strand || !is_data(layout, class, name) {
        return;
    }
    let shape = if info.shape == shape::CLASS { shape::CLASS } else { shape::INSTANCE };
    record(site, Touch { object, shape, key, action, value });
}

/// No descriptor that computes the attribute stands in the type; slots are data.
fn is_data(layout: &Layout, class: Obj, name: Obj) -> bool {
    // SAFETY: `class` is a type, `name` a str; the result is borrowed and used at once.
    let found = unsafe { ffi::_PyType_Lookup(class, name) };
    if found.is_null() {
        return true;
    }
    let kind = layout.type_of(found);
    // SAFETY: reads a slot of a type object.
    let computed = unsafe { layout.slot::<usize>(kind, type_slot::DESCR_SET) } != 0;
    kind == object!(PyMemberDescr_Type) || !computed
}

/// Writes an access unless it is redundant.
#[inline]
pub fn record(site: &Site, touch: Touch) {
    let layout = site.layout();
    if touch.object.is_null() {
        return;
    }
    let strand = tasks::strand(site.fixed, site.frame);
    let place_of_code = u64::from(site.entry.id) << 32 | u64::from(site.offset);
    let judged = state::with(|state, _| {
        let label = if touch.shape == shape::MODULE && state.objects.known(touch.object).is_none() {
            module_label(touch.object)
        } else {
            None
        };
        let object = state.objects.id(layout, &mut state.names, touch.object, touch.shape, label);
        if object == 0 {
            return None;
        }
        let mut slot = ring::slot(Kind::Access, thread::tid());
        slot.a = object;
        slot.b = match touch.key {
            Key::Whole => 0,
            Key::Name(name) => state.names.key(layout, name, KeyKind::Name),
            Key::Item(key) if touch.shape == shape::MODULE => state.names.key(layout, key, KeyKind::Name),
            Key::Item(key) => state.names.key(layout, key, KeyKind::Item),
        };
        slot.small = touch.action;
        if touch.action != action::READ {
            (slot.short, slot.word, slot.c) = state.names.value(layout, touch.value);
        }
        slot.d = site.frame as u64;
        if touch.action != action::READ && touch.shape >= shape::DICT {
            state.iterations.changed();
        }
        match state.recent.judge(&slot, strand, place_of_code) {
            Verdict::Record(place) => Some((slot, place)),
            Verdict::Drop => None,
        }
    });
    if let Some(Some((mut slot, place))) = judged {
        slot.stack = stacks::stack(site.fixed, site.frame, Some(site.offset));
        state::with(|state, _| {
            state.recent.recorded(place, slot.stack);
            ring::push(slot);
        });
    }
}

fn module_label(globals: Obj) -> Option<&'static str> {
    // SAFETY: `globals` is a dict; the result is borrowed. The text is interned by its module for as long as it lives.
    utf8(unsafe { ffi::PyDict_GetItemString(globals, c"__name__".as_ptr()) })
}

/// What a type says about containers, for the current site.
pub fn info(site: &Site, object: Obj) -> Option<TypeInfo> {
    (!object.is_null()).then(|| type_info(site.layout(), site.layout().type_of(object)))
}
