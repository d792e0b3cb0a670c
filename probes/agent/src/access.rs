//! From an instruction about to be executed to records of the accesses it makes: finds the operands on the frame's value
//! stack, decides whether they are a subject, and writes what is not redundant. It runs on the hot path: it allocates
//! no Python object, runs no Python code and changes nothing.

use racetrace_probes::plan::{self, Operation, Watch};
use racetrace_probes::wire::{Kind, Slot, action, shape};

use crate::codes::Entry;
use crate::ffi::{self, Obj, field};
use crate::layout::{Layout, type_slot};
use crate::met::{self, Memory, Met};
use crate::names::{KeyKind, key_id, utf8};
use crate::objects::{TypeInfo, type_info};
use crate::recent::{Candidate, Place, Verdict};
use crate::state::{self, Fixed, State};
use crate::thread::Thread;
use crate::{containers, iteration, object, ring, stacks, tasks, variables};

/// A frame at an instruction, with what is needed to find operands.
#[derive(Clone, Copy)]
pub struct Site<'a> {
    pub fixed: &'a Fixed,
    pub thread: &'static Thread,
    pub entry: &'static Entry,
    pub frame: Obj,
    pub offset: u32,
    /// Which of the plan's watches it is.
    pub watch: usize,
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
    /// That of the instruction: the same each time.
    Name(Obj),
    /// An attribute's name that a call was given.
    Computed(Obj),
    Item(Obj),
}

impl Site<'_> {
    fn layout(&self) -> &Layout {
        &self.fixed.layout
    }

    /// The object at an operand's place; null when the place is not filled.
    #[inline(always)]
    pub fn at(&self, place: plan::Place, depth: u32) -> Obj {
        match place {
            plan::Place::Stack(down) => match (self.entry.nlocalsplus + depth as usize).checked_sub(down as usize) {
                Some(index) if down >= 1 => self.layout().local(self.frame, index),
                _ => std::ptr::null_mut(),
            },
            plan::Place::Local(slot) => self.layout().local(self.frame, slot as usize),
            plan::Place::Const(index) => self.tuple_item(self.entry.consts, index),
            plan::Place::Name(index) => self.tuple_item(self.entry.names, index),
        }
    }

    /// The word at a place on the stack, be it an object or a number.
    pub fn raw(&self, place: plan::Place, depth: u32) -> usize {
        let plan::Place::Stack(down @ 1..) = place else { return 0 };
        let index = (self.entry.nlocalsplus + depth as usize).checked_sub(down as usize);
        index.map_or(0, |index| self.layout().word(self.frame, index))
    }

    /// The same where the place owns it: not borrowed from another place that keeps it alive.
    pub fn owned_at(&self, place: plan::Place, depth: u32) -> Option<Obj> {
        let plan::Place::Stack(down @ 1..) = place else { return None };
        let index = (self.entry.nlocalsplus + depth as usize).checked_sub(down as usize)?;
        self.layout().owned_local(self.frame, index)
    }

    #[inline(always)]
    fn tuple_item(&self, tuple: Obj, index: u32) -> Obj {
        let items = self.layout().header + if self.layout().minor >= 14 { 16 } else { 8 };
        // SAFETY: the index comes from the code object's own bytecode, which the plan has checked against the tuple.
        unsafe { field(tuple, items + 8 * index as usize) }
    }

    #[inline(always)]
    pub fn memory(&self) -> Option<&'static Memory> {
        self.entry.memories.get(self.watch)
    }

    /// Asks what the watch met last, or tells it.
    #[inline(always)]
    pub fn met<R>(&self, work: impl FnOnce(&mut Met, &State) -> Option<R>) -> Option<R> {
        let memory = self.memory()?;
        // SAFETY: inside the gate, and not kept.
        state::within(self.fixed, |state, _| work(unsafe { memory.get() }, state)).flatten()
    }

    fn name(&self, index: u32) -> Key {
        Key::Name(self.tuple_item(self.entry.names, index))
    }
}

/// Whether an instruction is to be watched further.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Watch,
    /// Not this one.
    Rest,
    /// This one, and those that rest too.
    WatchAll,
}

/// An instruction with watches is about to run.
#[inline]
pub fn at_instruction(mut site: Site) -> Next {
    let entry = site.entry;
    let enters = entry.plan.enter == Some(site.offset);
    let mut next = Next::Watch;
    let watches = entry.watches(site.offset);
    for number in watches.clone() {
        let Some(watch) = entry.plan.watches.get(number) else { break };
        site.watch = number;
        match watch.operation {
            Operation::IterNext { iterator } => {
                if iteration::may_rest(&site, site.at(iterator, watch.depth)) && !enters {
                    return Next::Rest;
                }
                iteration::next(&site, iterator, watch.depth);
            }
            Operation::IterBegin { iterable } => next = iteration::begins(&site, iterable, watch.depth),
            Operation::GlobalRead { .. }
            | Operation::GlobalWrite { .. }
            | Operation::GlobalDelete { .. }
            | Operation::MethodCall { .. }
                if variables::is_open(&site) && watches.len() == 1 && !enters =>
            {
                return touch_unless_at_rest(&site, watch);
            }
            _ => touch_watch(&site, watch),
        }
    }
    if enters {
        let mut slot = ring::slot(Kind::Enter, site.thread.tid());
        slot.d = site.frame as u64;
        slot.word = entry.id;
        state::with(|state, layout| state.say(layout, site.thread, slot));
    }
    next
}

/// Of a watch that may turn out not to be needed.
#[cold]
#[inline(never)]
fn touch_unless_at_rest(site: &Site, watch: &Watch) -> Next {
    if variables::rests(site) {
        return Next::Rest;
    }
    touch_watch(site, watch);
    if variables::may_rest(site, watch) { Next::Rest } else { Next::Watch }
}

#[inline(always)]
fn touch_watch(site: &Site, watch: &Watch) {
    let depth = watch.depth;
    let at = |place: plan::Place| site.at(place, depth);
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
        Operation::Consume { iterable } => iteration::taken(site, at(*iterable)),
        // Loops are not only accesses: see `at_instruction`.
        Operation::IterBegin { .. } | Operation::IterNext { .. } => {}
    }
}

fn global(site: &Site, name: u32, action: u8, value: Obj) {
    let globals = site.layout().globals(site.frame);
    // What was once a global is one, even while it is missing.
    if action == action::READ
        && site.met(|met, state| met.id(globals, state.objects.era(globals))).is_none()
        && !has_item(globals, site.tuple_item(site.entry.names, name))
    {
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

/// Stands for classes whose attributes are not plain data, among the shapes of subjects.
const COMPUTED: u8 = u8::MAX;

/// An attribute, where it is plain data: of a module, an instance or a class, not computed by anyone's code.
pub fn attribute(site: &Site, object: Obj, key: Key, action: u8, value: Obj) {
    let (Key::Name(name) | Key::Computed(name)) = key else { return };
    if object.is_null() || name.is_null() {
        return;
    }
    if matches!(key, Key::Computed(_)) {
        variables::worked_out(site.fixed, name, action);
    }
    let class = site.layout().type_of(object);
    match shape_of_attribute(site, class, name, key) {
        COMPUTED => {}
        shape::MODULE => {
            // SAFETY: `object` is a module.
            let globals = unsafe { ffi::PyModule_GetDict(object) };
            record(site, Touch { object: globals, shape: shape::MODULE, key, action, value });
        }
        shape => record(site, Touch { object, shape, key, action, value }),
    }
}

/// What kind of subject an attribute of that name makes of the class's instances. A watch with another name each time
/// (`getattr`) does not remember it.
#[inline]
fn shape_of_attribute(site: &Site, class: Obj, name: Obj, key: Key) -> u8 {
    let layout = site.layout();
    let one_name = matches!(key, Key::Name(_));
    if one_name && let Some(shape) = site.met(|met, _| met.verdict(layout, class)) {
        return shape;
    }
    let version = met::version(layout, class);
    let info = type_info(layout, class);
    let shape = match info.shape {
        shape::MODULE => shape::MODULE,
        _ if !info.plain_attributes || info.per_strand || !is_data(layout, class, name) => COMPUTED,
        shape::CLASS => shape::CLASS,
        _ => shape::INSTANCE,
    };
    if one_name {
        site.met(|met, _| {
            met.judge(class, version, shape);
            Some(())
        });
    }
    shape
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
    if touch.object.is_null() {
        return;
    }
    let strand = tasks::strand(site.fixed, site.thread, site.frame);
    let mut slot = ring::slot(Kind::Access, site.thread.tid());
    let judged = state::within(site.fixed, |state, layout| judge(state, layout, site, strand, &touch, &mut slot)).flatten();
    if let Some(place) = judged {
        slot.stack = stacks::stack(site.fixed, site.frame, Some(site.offset));
        state::within(site.fixed, |state, layout| {
            state.recent.recorded(place, slot.stack);
            if site.thread.pending.get().is_some() {
                state.settle(layout, site.thread);
            }
            ring::push(slot);
        });
    }
}

/// Fills the record in. Where it is to be noted that it was written, unless it is redundant.
#[inline]
fn judge(state: &mut State, layout: &Layout, site: &Site, strand: u64, touch: &Touch, slot: &mut Slot) -> Option<Place> {
    let (object, key, cell) = subject(state, layout, site, touch)?;
    (slot.a, slot.b, slot.small) = (object, key, touch.action);
    slot.d = site.frame as u64;
    if touch.action != action::READ {
        (slot.short, slot.word, slot.c) = state.names.value(layout, touch.value);
        if touch.shape >= shape::DICT {
            state.iterations.changed();
        }
    }
    let place = u64::from(site.entry.id) << 32 | u64::from(site.offset);
    match state.recent.judge(cell, &Candidate { thread: site.thread, strand, site: place, slot }) {
        Verdict::Record(place) => {
            if state.recent.is_crowded {
                state.recent.deal_anew();
                state.names.era += 1;
            }
            Some(place)
        }
        Verdict::Drop => None,
    }
}

/// The ids of object and key, and their cell in `recent`.
#[inline]
fn subject(state: &mut State, layout: &Layout, site: &Site, touch: &Touch) -> Option<(u64, u64, u32)> {
    // SAFETY: inside the gate, and not kept.
    let met = unsafe { site.memory()?.get() };
    let (key, of, kind) = match touch.key {
        Key::Whole => (0, std::ptr::null_mut(), KeyKind::Item),
        Key::Item(key) if touch.shape != shape::MODULE => (key_id(layout, key, KeyKind::Item), key, KeyKind::Item),
        Key::Name(name) => {
            let known = met.key_of(name).unwrap_or_else(|| key_id(layout, name, KeyKind::Name));
            (known, name, KeyKind::Name)
        }
        Key::Computed(name) | Key::Item(name) => (key_id(layout, name, KeyKind::Name), name, KeyKind::Name),
    };
    if let Some(id) = met.id(touch.object, state.objects.era(touch.object))
        && met.has_key(key, state.names.era)
    {
        return Some((id, key, met.cell));
    }
    let label = if touch.shape == shape::MODULE && state.objects.known(touch.object).is_none() {
        module_label(touch.object)
    } else {
        None
    };
    let object = state.objects.id(layout, &mut state.names, touch.object, touch.shape, label);
    if object == 0 {
        return None;
    }
    if key != 0 {
        state.names.define(layout, key, of, kind);
    }
    met.meet(touch.object, object, state.objects.era(touch.object), key, state.names.era);
    if let Key::Name(name) = touch.key {
        met.remember_name(name, key);
    }
    Some((object, key, met.cell))
}

fn module_label(globals: Obj) -> Option<&'static str> {
    // SAFETY: `globals` is a dict; the result is borrowed. The text is interned by its module for as long as it lives.
    utf8(unsafe { ffi::PyDict_GetItemString(globals, c"__name__".as_ptr()) })
}

/// What a type says about containers, for the current site.
pub fn info(site: &Site, object: Obj) -> Option<TypeInfo> {
    (!object.is_null()).then(|| type_info(site.layout(), site.layout().type_of(object)))
}
