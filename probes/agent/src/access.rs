//! From an instruction about to be executed to the accesses it makes: finds the operands on the frame's value stack, and
//! decides whether they are a subject. It runs on the hot path: it allocates no Python object, runs no Python code and
//! changes nothing.

use racetrace_probes::plan::{self, Operation, Watch};
use racetrace_probes::wire::{Kind, action, shape};

use crate::codes::Entry;
use crate::ffi::{self, Obj};
use crate::layout::{Layout, type_slot};
use crate::met::{self, Memory, Met, NO_SLOT, Short, Way};
use crate::objects::{TypeInfo, type_info};
use crate::state::{self, Fixed, State};
use crate::thread::Thread;
use crate::{containers, iteration, object, ring, variables};

mod record;

pub use record::record;
use record::{is_repeated, record_anew};

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
        // Most lie on the stack: a jump by a table would be longer than finding them.
        if let plan::Place::Stack(down) = place {
            let index = (self.entry.nlocalsplus + depth as usize).checked_sub(down as usize).filter(|_| down >= 1);
            return index.map_or(std::ptr::null_mut(), |index| self.layout().local(self.frame, index));
        }
        self.beside_stack(place)
    }

    #[inline(never)]
    fn beside_stack(&self, place: plan::Place) -> Obj {
        match place {
            plan::Place::Stack(_) => std::ptr::null_mut(),
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

    /// An item of the code's names or constants: the index comes from its own bytecode, which the plan has checked.
    #[inline(always)]
    fn tuple_item(&self, tuple: Obj, index: u32) -> Obj {
        self.layout().tuple_item(tuple, index)
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

    fn name(&self, index: u32) -> Obj {
        self.tuple_item(self.entry.names, index)
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
#[inline(always)]
pub fn at_instruction(mut site: Site) -> Next {
    let watches = site.entry.watches(site.offset);
    if watches.len() == 1 && site.entry.plan.enter != Some(site.offset) {
        site.watch = watches.start;
        if let Some(short) = site.memory().and_then(|memory| memory.short.as_ref())
            && (short.way != Way::Global || !variables::is_open(&site))
        {
            touch_short(&site, short);
            return Next::Watch;
        }
        if let Some(watch) = site.entry.plan.watches.get(site.watch) {
            match watch.operation {
                Operation::IterBegin { iterable } => return iteration::begins(&site, iterable, watch.depth),
                Operation::IterNext { iterator } => return step(&site, iterator, watch.depth, true),
                _ => {}
            }
        }
    }
    at_watches(site)
}

/// A loop asks for its next element.
#[inline(always)]
fn step(site: &Site, iterator: plan::Place, depth: u32, can_rest: bool) -> Next {
    let object = site.at(iterator, depth);
    if object.is_null() || iteration::is_uneventful(site, object) {
        return Next::Watch;
    }
    if can_rest && iteration::may_rest(site, object) {
        return Next::Rest;
    }
    iteration::next(site, iterator, depth);
    Next::Watch
}

#[inline(never)]
fn at_watches(mut site: Site) -> Next {
    let entry = site.entry;
    let enters = entry.plan.enter == Some(site.offset);
    let mut next = Next::Watch;
    let watches = entry.watches(site.offset);
    for number in watches.clone() {
        let Some(watch) = entry.plan.watches.get(number) else { break };
        site.watch = number;
        match watch.operation {
            Operation::IterNext { iterator } => {
                if step(&site, iterator, watch.depth, !enters) == Next::Rest {
                    return Next::Rest;
                }
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
        say_entered(&site);
    }
    next
}

/// One of the common ways to touch something.
#[inline(always)]
fn touch_short(site: &Site, short: &Short) {
    let slot = |slot: u32| match slot {
        NO_SLOT => std::ptr::null_mut(),
        slot => site.layout().local(site.frame, slot as usize),
    };
    let value = slot(short.value);
    match short.way {
        Way::Global => global(site, short.name, short.action, value),
        Way::Attribute => attribute(site, slot(short.object), Key::Name(short.name), short.action, value),
        Way::Item => containers::item(site, slot(short.object), slot(short.key), short.action, value),
    }
}

#[inline(never)]
fn say_entered(site: &Site) {
    let mut slot = ring::slot(Kind::Enter, site.thread.tid());
    slot.d = site.frame as u64;
    slot.word = site.entry.id;
    state::within(site.fixed, |state, layout| state.say(layout, site.thread, slot));
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
        Operation::GlobalRead { name } => global(site, site.name(*name), action::READ, std::ptr::null_mut()),
        Operation::GlobalWrite { name, value } => global(site, site.name(*name), action::WRITE, at(*value)),
        Operation::GlobalDelete { name } => global(site, site.name(*name), action::DELETE, std::ptr::null_mut()),
        Operation::CellRead { slot } => cell(site, *slot, action::READ, std::ptr::null_mut()),
        Operation::CellWrite { slot, value } => cell(site, *slot, action::WRITE, at(*value)),
        Operation::CellDelete { slot } => cell(site, *slot, action::DELETE, std::ptr::null_mut()),
        Operation::AttributeRead { object, name } => {
            attribute(site, at(*object), Key::Name(site.name(*name)), action::READ, std::ptr::null_mut())
        }
        Operation::AttributeWrite { object, name, value } => {
            attribute(site, at(*object), Key::Name(site.name(*name)), action::WRITE, at(*value));
        }
        Operation::AttributeDelete { object, name } => {
            attribute(site, at(*object), Key::Name(site.name(*name)), action::DELETE, std::ptr::null_mut())
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

fn global(site: &Site, name: Obj, action: u8, value: Obj) {
    let globals = site.layout().globals(site.frame);
    let touch = Touch { object: globals, shape: shape::MODULE, key: Key::Name(name), action, value };
    if globals.is_null() || is_repeated(site, &touch) {
        return;
    }
    // What was once a global is one, even while it is missing.
    let is_builtin = action == action::READ
        && site.met(|met, state| met.id(globals, state.objects.era(globals))).is_none()
        && !has_item(globals, name);
    if !is_builtin {
        record_anew(site, &touch);
    }
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

/// What a type says about containers, for the current site.
pub fn info(site: &Site, object: Obj) -> Option<TypeInfo> {
    (!object.is_null()).then(|| type_info(site.layout(), site.layout().type_of(object)))
}
