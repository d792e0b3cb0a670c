//! Accesses to containers: items, whole containers, methods, builtin functions, iteration. Which methods and functions
//! there are is said by the plan's tables; whether a receiver is a container, by its type.

use racetrace_probes::method::{self, Owner, Part};
use racetrace_probes::plan::{Operation, Place};
use racetrace_probes::wire::{Kind, action, shape};

use crate::access::{self, Key, Site, Touch, record};
use crate::ffi::{self, Obj, field};
use crate::layout::Layout;
use crate::objects::type_info;
use crate::table::{Table, mix2};
use crate::{names, object, ring, stacks, state, tasks, thread};

pub fn is_container(kind: u8) -> bool {
    matches!(kind, shape::DICT | shape::LIST | shape::SET | shape::DEQUE | shape::QUEUE)
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
    let Operation::MethodCall { method, callable, receiver, first, arguments, .. } = call else { return };
    let receiver = receiver_of(site, site.at(*callable, depth), site.at(*receiver, depth));
    let Some(info) = access::info(site, receiver) else { return };
    if !is_container(info.shape) {
        return;
    }
    let Some((key, action)) = effect(info.shape, method, *arguments) else { return };
    let argument = |number: u32| match first {
        Some(Place::Stack(down)) if number < *arguments && *down > number => site.at(Place::Stack(down - number), depth),
        _ => std::ptr::null_mut(),
    };
    let layout = &site.fixed.layout;
    let nothing = std::ptr::null_mut();
    let key = key.map(argument).filter(|key| !key.is_null());
    // A list's or deque's search goes by equality, not by place.
    let keyed = key.filter(|_| matches!(info.shape, shape::DICT | shape::SET));
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
fn effect(kind: u8, name: &str, arguments: u32) -> Option<(Option<u32>, u8)> {
    let owner = match kind {
        shape::DICT => Owner::Dict,
        shape::LIST => Owner::List,
        shape::SET => Owner::Set,
        shape::DEQUE => Owner::Deque,
        shape::QUEUE => Owner::Queue,
        _ => return None,
    };
    let row = method::methods(name).iter().find(|row| row.owner == owner)?;
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
            if let Some(row) = method::function_named(function) {
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
    if kind == object!(PyCFunction_Type) {
        // SAFETY: a builtin's definition follows its header; its name is NUL-terminated.
        let def: *const ffi::MethodDef = unsafe { field(callable, layout.header) };
        // SAFETY: the definition lives as long as the function.
        return unsafe { std::ffi::CStr::from_ptr((*def).name) }.to_bytes() == name.as_bytes();
    }
    kind == object!(PyType_Type) && crate::names::type_name(layout, callable) == name
}

/// A loop over `range(…)`: there is nothing that could change.
pub fn counts_numbers(site: &Site, iterator: Obj) -> bool {
    !iterator.is_null() && names::type_name(&site.fixed.layout, site.fixed.layout.type_of(iterator)) == "range_iterator"
}

/// A loop starts to walk something that may be a live container.
pub fn iteration(_site: &Site, _iterable: Obj) {
    // The iterator that the loop makes of it tells more: see `next`.
}

/// The loop asks for the next element. The first time that an iterator is seen, its walk begins; it ends when the
/// iterator is freed, however the loop is left.
pub fn next(site: &Site, iterator: Obj) {
    let layout = &site.fixed.layout;
    let Some((iterator, container)) = walked(site, iterator) else { return };
    let Some(info) = access::info(site, container) else { return };
    if !matches!(info.shape, shape::DICT | shape::LIST | shape::SET | shape::DEQUE) {
        return;
    }
    type_info(layout, layout.type_of(iterator));
    let verdict = state::with(|state, _| state.iterations.next(iterator, thread::epoch()));
    let kind = match verdict {
        Some(Step::Begins) => Kind::IterBegin,
        Some(Step::GoesOn) => Kind::IterNext,
        _ => return,
    };
    tasks::strand(site.fixed, site.frame);
    let stack = stacks::stack(site.fixed, site.frame, Some(site.offset));
    state::with(|state, _| {
        let mut slot = ring::slot(kind, thread::tid());
        slot.stack = stack;
        slot.d = site.frame as u64;
        slot.b = state.objects.identity(iterator);
        slot.a = state.objects.id(layout, &mut state.names, container, info.shape, None);
        slot.c = length(layout, container, info.shape);
        if slot.a == 0 || slot.b == 0 {
            return;
        }
        state.recent.flush_thread();
        ring::push(slot);
    });
}

/// How many elements a container has.
fn length(layout: &Layout, container: Obj, kind: u8) -> u64 {
    let place = if kind == shape::SET { layout.header + 8 } else { layout.header };
    // SAFETY: dicts, lists and deques have their size after the header, sets after the number of used places.
    unsafe { field(container, place) }
}

/// The iterator that walks a container, and the container; through `enumerate` and `reversed`.
fn walked(site: &Site, iterator: Obj) -> Option<(Obj, Obj)> {
    let layout = &site.fixed.layout;
    let mut at = iterator;
    for _ in 0..4 {
        if at.is_null() {
            return None;
        }
        let kind = layout.type_of(at);
        // SAFETY: the fields of the interpreter's own iterator types, after the header.
        let container: Obj = unsafe {
            match names::type_name(layout, kind) {
                "dict_keyiterator" | "dict_valueiterator" | "dict_itemiterator" | "dict_reversekeyiterator" | "set_iterator" => {
                    field(at, layout.header)
                }
                "list_iterator" | "list_reverseiterator" => field(at, layout.header + 8),
                "_deque_iterator" | "collections._deque_iterator" => field(at, layout.header + 16),
                "enumerate" => {
                    at = field(at, layout.header + 8);
                    continue;
                }
                _ => return None,
            }
        };
        return (!container.is_null()).then_some((at, container));
    }
    None
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
