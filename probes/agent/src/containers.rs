//! Accesses to containers: items, whole containers, methods, builtin functions, iteration. Which methods and functions
//! there are is said by the plan's tables; whether a receiver is a container, by its type.

use std::sync::atomic::{AtomicU64, Ordering};

use racetrace_probes::method::{self, Owner, Part};
use racetrace_probes::plan::{Operation, Place};
use racetrace_probes::wire::{Kind, action, shape};

use crate::access::{self, Key, Next, Site, Touch, record};
use crate::ffi::{self, Obj, field};
use crate::layout::{Layout, type_flag, type_slot};
use crate::objects::type_info;
use crate::table::{Table, mix2};
use crate::{names, object, ring, stacks, state, tasks};

pub fn is_container(kind: u8) -> bool {
    matches!(kind, shape::DICT | shape::LIST | shape::SET | shape::DEQUE | shape::QUEUE | shape::MAPPING)
}

/// `container[key]`, `key in container`.
pub fn item(site: &Site, container: Obj, key: Obj, mut action: u8, value: Obj) {
    let Some(info) = access::info(site, container) else { return };
    if !is_container(info.shape) || info.shape == shape::QUEUE || key.is_null() {
        return;
    }
    let layout = &site.fixed.layout;
    if info.shape == shape::DICT {
        if is_module_globals(site, container) {
            return record(site, Touch { object: container, shape: shape::MODULE, key: Key::Item(key), action, value });
        }
        if action == action::WRITE && is_new_key(layout, container, key) {
            action = action::INSERT;
        }
    }
    // A slice, or the place of a list's item that an index counted from the end names, is the whole list.
    let kind = layout.type_of(key);
    let whole = matches!(info.shape, shape::LIST | shape::DEQUE) && kind != object!(PyLong_Type) && kind != object!(PyBool_Type);
    let key = if whole { Key::Whole } else { Key::Item(key) };
    let action = if whole && action != action::READ { action::REPLACE } else { action };
    record(site, Touch { object: container, shape: info.shape, key, action, value });
}

/// Is the key certainly not in the dict? Only asked for keys whose comparison runs no Python code.
fn is_absent(layout: &Layout, dict: Obj, key: Obj) -> bool {
    let kind = layout.type_of(key);
    (kind == object!(PyUnicode_Type) || kind == object!(PyLong_Type)) && is_new_key(layout, dict, key)
}

/// Only for keys whose comparison runs no Python code.
fn is_new_key(layout: &Layout, dict: Obj, key: Obj) -> bool {
    let kind = layout.type_of(key);
    if layout.type_of(dict) != object!(PyDict_Type) {
        return false;
    }
    if kind != object!(PyUnicode_Type) && kind != object!(PyLong_Type) {
        return true;
    }
    // SAFETY: an exact dict and an exact str or int; safe beside other threads without a GIL, too. A stored key of another
    // type could have an `__eq__` of its own, but is only compared when the hashes are equal.
    unsafe { ffi::PyDict_Contains(dict, key) == 0 }
}

fn is_module_globals(site: &Site, dict: Obj) -> bool {
    dict == site.fixed.layout.globals(site.frame)
}

/// The container's size or truth is read, or it is changed in place.
pub fn whole(site: &Site, container: Obj, action: u8) {
    let Some(info) = access::info(site, container) else { return };
    if is_container(info.shape) {
        record(site, Touch { object: container, shape: info.shape, key: Key::Whole, action, value: std::ptr::null_mut() });
    }
}

/// `receiver.method(first, …)`.
pub fn method(site: &Site, depth: u32, call: &Operation) {
    let Operation::MethodCall { callable, receiver, first, arguments, .. } = call else { return };
    let receiver = receiver_of(site, site.at(*callable, depth), site.at(*receiver, depth));
    let Some(info) = access::info(site, receiver) else { return };
    if !is_container(info.shape) {
        return;
    }
    let Some((key, action)) = effect(site, info.shape, *arguments) else { return };
    let argument = |number: u32| match first {
        Some(Place::Stack(down)) if number < *arguments && *down > number => site.at(Place::Stack(down - number), depth),
        _ => std::ptr::null_mut(),
    };
    let layout = &site.fixed.layout;
    let nothing = std::ptr::null_mut();
    let key = key.map(argument).filter(|key| !key.is_null());
    // A list's or deque's search goes by equality, not by place.
    let keyed = key.filter(|_| matches!(info.shape, shape::DICT | shape::SET | shape::MAPPING));
    let value = if key.is_some() || action == action::READ { nothing } else { argument(0) };
    // Taking away what is not there changes nothing.
    let absent =
        info.shape == shape::DICT && action == action::DELETE && keyed.is_some_and(|key| is_absent(layout, receiver, key));
    let action = if absent { action::READ } else { action };
    record(site, Touch { object: receiver, shape: info.shape, key: keyed.map_or(Key::Whole, Key::Item), action, value });
}

/// The object that a call's callee is bound to, wherever the calling convention of the version has put it.
fn receiver_of(site: &Site, callable: Obj, receiver: Obj) -> Obj {
    let layout = &site.fixed.layout;
    // Where the method was found bound after all, one of the two places holds it and the other nothing.
    let callable = if callable.is_null() { receiver } else { callable };
    if callable.is_null() {
        return callable;
    }
    let kind = layout.type_of(callable);
    if kind == object!(PyMethod_Type) || kind == object!(PyCFunction_Type) {
        // SAFETY: a bound method has function and self after its header, a builtin its definition and self.
        return unsafe { field(callable, layout.header + 8) };
    }
    receiver
}

/// What a method does to its container: which argument is the key, and the action. By the plan's table.
fn effect(site: &Site, kind: u8, arguments: u32) -> Option<(Option<u32>, u8)> {
    let owner = match kind {
        shape::DICT | shape::MAPPING => Owner::Dict,
        shape::LIST => Owner::List,
        shape::SET => Owner::Set,
        shape::DEQUE => Owner::Deque,
        shape::QUEUE => Owner::Queue,
        _ => return None,
    };
    let row = site.memory()?.methods.iter().find(|row| row.owner == owner)?;
    if arguments < u32::from(row.arguments.0) || arguments > u32::from(row.arguments.1) {
        return None;
    }
    let key = match row.part {
        Part::Key(number) => Some(u32::from(number)),
        Part::Whole => None,
    };
    let action = match row.touch {
        method::Touch::Read | method::Touch::Walk | method::Touch::View => action::READ,
        method::Touch::Insert if key.is_some() => action::INSERT,
        method::Touch::Remove if key.is_some() => action::DELETE,
        method::Touch::Insert | method::Touch::Remove | method::Touch::Update => action::UPDATE,
        method::Touch::Replace => action::REPLACE,
    };
    Some((key, action))
}

/// `len(x)`, `getattr(x, name)`, `sum(x)` …: only when the callee really is the builtin of that name.
pub fn function(site: &Site, function: &str, callable: Obj, first: Place, arguments: u32, depth: u32) {
    if callable.is_null() || !is_builtin(site, callable, function) {
        return;
    }
    let argument = |number: u32| match first {
        Place::Stack(down) if number < arguments && down > number => site.at(Place::Stack(down - number), depth),
        place if number == 0 => site.at(place, depth),
        _ => std::ptr::null_mut(),
    };
    let subject = argument(0);
    let nothing = std::ptr::null_mut();
    match function {
        "getattr" | "hasattr" => access::attribute(site, subject, Key::Name(argument(1)), action::READ, nothing),
        "setattr" => access::attribute(site, subject, Key::Name(argument(1)), action::WRITE, argument(2)),
        "delattr" => access::attribute(site, subject, Key::Name(argument(1)), action::DELETE, nothing),
        _ => {
            if let Some(row) = site.memory().and_then(|memory| memory.function) {
                let action = match row.touch {
                    method::Touch::Read | method::Touch::Walk => action::READ,
                    method::Touch::View => return,
                    method::Touch::Replace => action::REPLACE,
                    _ => action::UPDATE,
                };
                whole(site, argument(u32::from(row.container)), action);
            }
        }
    }
}

/// A builtin function of that name, or the builtin type.
fn is_builtin(site: &Site, callable: Obj, name: &str) -> bool {
    let layout = &site.fixed.layout;
    let kind = layout.type_of(callable);
    let Some(memory) = site.memory() else { return false };
    if kind == object!(PyCFunction_Type) {
        // SAFETY: a builtin's definition follows its header.
        let def: Obj = unsafe { field(callable, layout.header) };
        if def == memory.callable.load(Ordering::Relaxed) {
            return true;
        }
        // SAFETY: the definition lives as long as the function; its name is NUL-terminated.
        let is_it = unsafe { std::ffi::CStr::from_ptr((*def.cast::<ffi::MethodDef>()).name) }.to_bytes() == name.as_bytes();
        if is_it {
            memory.callable.store(def, Ordering::Relaxed);
        }
        return is_it;
    }
    kind == object!(PyType_Type) && crate::names::type_name(layout, callable) == name
}

/// Does the loop walk what nobody can change, so that its steps need not be watched? From its beginning, which goes on
/// being watched, it is seen when it walks something else another time.
#[inline]
pub fn may_rest(site: &Site, iterator: Obj) -> bool {
    if iterator.is_null() {
        return false;
    }
    let layout = &site.fixed.layout;
    let fixed = match walker(layout, layout.type_of(iterator)) {
        Walker::Numbers => true,
        Walker::Fixed => has_beginning(site),
        Walker::None => false,
        _ => {
            has_beginning(site)
                && walked(site, iterator).is_some_and(|(at, container)| at == iterator && layout.is_sole(container))
        }
    };
    let Some(memory) = site.memory().filter(|memory| fixed && !memory.mixed.load(Ordering::Relaxed)) else { return false };
    memory.rests.store(true, Ordering::Relaxed);
    true
}

fn has_beginning(site: &Site) -> bool {
    site.fixed.layout.minor >= 12 && site.memory().is_some_and(|memory| memory.other.is_some())
}

/// A loop is about to make an iterator of what it walks.
#[inline]
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
        || matches!(walker(layout, class), Walker::Fixed | Walker::Numbers);
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

/// The loop asks for the next element. The first time that an iterator is seen, its walk begins; it ends when the
/// iterator is freed, however the loop is left.
pub fn next(site: &Site, iterator: Obj) {
    let layout = &site.fixed.layout;
    let Some((iterator, container)) = walked(site, iterator) else { return };
    if layout.is_sole(container) {
        return; // nobody else can reach it
    }
    let Some(info) = access::info(site, container) else { return };
    if !matches!(info.shape, shape::DICT | shape::LIST | shape::SET | shape::DEQUE) {
        return;
    }
    type_info(layout, layout.type_of(iterator));
    let verdict = state::with(|state, _| state.iterations.next(iterator, site.thread.epoch()));
    let kind = match verdict {
        Some(Step::Begins) => Kind::IterBegin,
        Some(Step::GoesOn) => Kind::IterNext,
        _ => return,
    };
    tasks::strand(site.fixed, site.thread, site.frame);
    let stack = stacks::stack(site.fixed, site.frame, Some(site.offset));
    state::with(|state, _| {
        let mut slot = ring::slot(kind, site.thread.tid());
        slot.stack = stack;
        slot.d = site.frame as u64;
        slot.b = state.objects.identity(iterator);
        slot.a = state.objects.id(layout, &mut state.names, container, info.shape, None);
        slot.c = length(layout, container, info.shape);
        if slot.a == 0 || slot.b == 0 {
            return;
        }
        state.say(layout, site.thread, slot);
    });
}

/// How many elements a container has.
fn length(layout: &Layout, container: Obj, kind: u8) -> u64 {
    let place = if kind == shape::SET { layout.header + 8 } else { layout.header };
    // SAFETY: dicts, lists and deques have their size after the header, sets after the number of used places.
    unsafe { field(container, place) }
}

/// The iterator that walks a container, and the container; through `enumerate` and `reversed`.
#[inline]
fn walked(site: &Site, iterator: Obj) -> Option<(Obj, Obj)> {
    let layout = &site.fixed.layout;
    let mut at = iterator;
    for _ in 0..4 {
        if at.is_null() {
            return None;
        }
        let words = match walker(layout, layout.type_of(at)) {
            Walker::First => 0,
            Walker::Second | Walker::Enumerate => 1,
            Walker::Third => 2,
            Walker::Numbers | Walker::Fixed | Walker::None => return None,
        };
        let through = walker(layout, layout.type_of(at)) == Walker::Enumerate;
        // SAFETY: that field of the interpreter's own iterator types, after the header.
        let inner: Obj = unsafe { field(at, layout.header + 8 * words) };
        if !through {
            return (!inner.is_null()).then_some((at, inner));
        }
        at = inner;
    }
    None
}

/// What an iterator's type says about where the container is that it walks.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Walker {
    None = 0,
    /// In the first word after the header.
    First,
    Second,
    Third,
    /// Another iterator is in the second word.
    Enumerate,
    /// A range, or its iterator.
    Numbers,
    /// Nothing that can change, or at least nothing that could be seen to.
    Fixed,
}

/// By type: the interpreter's own iterator types live for ever.
#[inline]
fn walker(layout: &Layout, class: Obj) -> Walker {
    use Walker::{Enumerate, First, Fixed, None, Numbers, Second, Third};
    const ALL: [Walker; 7] = [None, First, Second, Third, Enumerate, Numbers, Fixed];
    static KNOWN: [AtomicU64; 64] = [const { AtomicU64::new(0) }; 64];
    const KIND: u32 = 48;
    let place = &KNOWN[mix2(class as u64, 0) as usize & 63];
    let word = place.load(Ordering::Relaxed);
    if word & ((1 << KIND) - 1) == class as u64 {
        return ALL.get((word >> KIND) as usize).copied().unwrap_or(None);
    }
    let walker = match names::type_name(layout, class) {
        "dict_keyiterator" | "dict_valueiterator" | "dict_itemiterator" | "dict_reversekeyiterator" | "set_iterator" => {
            Walker::First
        }
        "list_iterator" | "list_reverseiterator" => Walker::Second,
        "_deque_iterator" | "collections._deque_iterator" => Walker::Third,
        "enumerate" => Walker::Enumerate,
        "range" | "range_iterator" | "longrange_iterator" => Walker::Numbers,
        "str_iterator" | "str_ascii_iterator" | "bytes_iterator" | "tuple_iterator" | "generator" => Walker::Fixed,
        _ => Walker::None,
    };
    // SAFETY: reads the flags of a type object.
    let heap = unsafe { layout.slot::<u64>(class, type_slot::FLAGS) } & type_flag::HEAPTYPE != 0;
    if walker != Walker::None || !heap {
        place.store(class as u64 | (walker as u64) << KIND, Ordering::Relaxed);
    }
    walker
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
    /// Counts changes of containers.
    changes: u64,
}

impl Iterations {
    pub fn new() -> Iterations {
        Iterations { seen: Table::new(1 << 12), changes: 1 }
    }

    pub fn changed(&mut self) {
        self.changes += 1;
    }

    pub fn ended(&mut self, iterator: Obj) {
        self.seen.remove(iterator as u64);
    }

    fn next(&mut self, iterator: Obj, epoch: u32) -> Step {
        let mark = mix2(self.changes, u64::from(epoch)) | 1;
        match self.seen.get(iterator as u64) {
            Some(before) if before == mark => Step::Uneventful,
            Some(_) => {
                self.seen.set(iterator as u64, mark);
                Step::GoesOn
            }
            // Even: the second step always counts, for the loop has run its body then.
            None if self.seen.set(iterator as u64, mark & !1) => Step::Begins,
            None => Step::Uneventful,
        }
    }
}
