//! Accesses to containers: items, whole containers, methods, builtin functions. Which methods and functions there are is
//! said by the plan's tables; whether a receiver is a container, by its type. Loops are elsewhere.

use std::sync::atomic::Ordering;

use racetrace_probes::method::{self, Method, Owner, Part};
use racetrace_probes::plan::{Operation, Place};
use racetrace_probes::wire::{Kind, action, shape};

use crate::access::{self, Key, Site, Touch, record};
use crate::ffi::{self, Obj, field};
use crate::layout::Layout;
use crate::{iteration, object, ring, state, tasks, variables};

pub fn is_container(kind: u8) -> bool {
    matches!(kind, shape::DICT | shape::LIST | shape::SET | shape::DEQUE | shape::QUEUE | shape::MAPPING)
}

/// `container[key]`, `key in container`.
#[inline(never)]
pub fn item(site: &Site, container: Obj, key: Obj, mut action: u8, value: Obj) {
    let Some(info) = access::info(site, container) else { return };
    let layout = &site.fixed.layout;
    if info.shape == shape::ARRAY && !key.is_null() && layout.type_of(key) == object!(PyLong_Type) {
        return record(site, Touch { object: container, shape: info.shape, key: Key::Item(key), action, value });
    }
    if !is_container(info.shape) || info.shape == shape::QUEUE || key.is_null() {
        return;
    }
    if info.shape == shape::DICT {
        if is_module_globals(site, container) {
            variables::worked_out(site.fixed, key, action);
            return record(site, Touch { object: container, shape: shape::MODULE, key: Key::Item(key), action, value });
        }
        if action == action::WRITE && is_new_key(layout, container, key) {
            action = action::INSERT;
        }
        if action == action::READ && info.reading_adds && is_absent(layout, container, key) {
            let value = std::ptr::null_mut();
            record(site, Touch { object: container, shape: info.shape, key: Key::Item(key), action, value });
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
    is_plain(layout, key, 2) && is_new_key(layout, dict, key)
}

/// Only for keys whose comparison runs no Python code: others are taken as new.
fn is_new_key(layout: &Layout, dict: Obj, key: Obj) -> bool {
    if !is_plain(layout, key, 2) {
        return true;
    }
    // SAFETY: a dict (a derived class's own look-up is not asked) and a key of exact builtin types; safe beside other threads
    // without a GIL, too. A stored key of another type could have an `__eq__` of its own, but is only compared when the
    // hashes are equal.
    unsafe { ffi::PyDict_Contains(dict, key) == 0 }
}

/// Is the element certainly not in the set?
fn is_new_element(layout: &Layout, set: Obj, element: Obj) -> bool {
    // SAFETY: a set and an element whose comparison runs no Python code; without a GIL it waits for the set's own lock,
    // outside the gate.
    is_plain(layout, element, 2) && unsafe { ffi::PySet_Contains(set, element) == 0 }
}

/// An exact str, int, float or bytes, or a tuple of such.
fn is_plain(layout: &Layout, key: Obj, depth: u32) -> bool {
    let kind = layout.type_of(key);
    if kind == object!(PyTuple_Type) {
        // SAFETY: a tuple; its items are borrowed.
        let size = unsafe { ffi::PyTuple_Size(key) };
        // SAFETY: as above.
        return depth > 0
            && size <= 8
            && (0..size).all(|at| is_plain(layout, unsafe { ffi::PyTuple_GetItem(key, at) }, depth - 1));
    }
    [object!(PyUnicode_Type), object!(PyLong_Type), object!(PyFloat_Type), object!(PyBytes_Type), object!(PyBool_Type)]
        .contains(&kind)
}

fn is_module_globals(site: &Site, dict: Obj) -> bool {
    dict == site.fixed.layout.globals(site.frame)
}

/// The container's size or truth is read, or it is changed in place.
#[inline(never)]
pub fn whole(site: &Site, container: Obj, action: u8) {
    let Some(info) = access::info(site, container) else { return };
    if is_container(info.shape) {
        record(site, Touch { object: container, shape: info.shape, key: Key::Whole, action, value: std::ptr::null_mut() });
    }
}

/// `receiver.method(first, …)`.
#[inline(never)]
pub fn method(site: &Site, depth: u32, call: &Operation) {
    let Operation::MethodCall { callable, receiver, first, arguments, .. } = call else { return };
    let receiver = receiver_of(site, site.at(*callable, depth), site.at(*receiver, depth));
    let Some(info) = access::info(site, receiver) else { return };
    if !is_container(info.shape) {
        return;
    }
    let Some(row) = row(site, info.shape, *arguments) else { return };
    let (key, action) = effect(row);
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
    let absent = action == action::DELETE
        && keyed.is_some_and(|key| match info.shape {
            shape::DICT => is_absent(layout, receiver, key),
            shape::SET => is_new_element(layout, receiver, key),
            _ => false,
        });
    // What may be in the set already may leave its size as it was.
    let known =
        info.shape == shape::SET && action == action::INSERT && keyed.is_none_or(|key| !is_new_element(layout, receiver, key));
    let action = match action {
        _ if absent => action::READ,
        _ if known => action::UPDATE,
        action => action,
    };
    record(site, Touch { object: receiver, shape: info.shape, key: keyed.map_or(Key::Whole, Key::Item), action, value });
    if matches!(info.shape, shape::LIST | shape::DEQUE | shape::SET) && action != action::READ {
        passes_on(site, receiver, row.touch, argument(0));
    }
}

/// What goes into a container may come out of it in another strand's hands.
fn passes_on(site: &Site, container: Obj, how: method::Touch, item: Obj) {
    let slot = state::within(site.fixed, |state, _| {
        let id = state.objects.known(container)?;
        match how {
            method::Touch::Insert if !item.is_null() => {
                let item = state.objects.known(item)?;
                state.lenders.set(id, 1);
                let mut slot = ring::slot(Kind::Offered, site.thread.tid());
                (slot.a, slot.b) = (id, item);
                Some(slot)
            }
            method::Touch::Remove if state.lenders.get(id).is_some() => {
                let mut slot = ring::slot(Kind::Taken, site.thread.tid());
                slot.a = id;
                Some(slot)
            }
            _ => None,
        }
    });
    if let Some(slot) = slot.flatten() {
        tasks::say(site.thread, slot);
    }
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

/// The method that is called, in the plan's table, if such a container has it with so many arguments.
fn row(site: &Site, kind: u8, arguments: u32) -> Option<&'static Method> {
    let owner = match kind {
        shape::DICT | shape::MAPPING => Owner::Dict,
        shape::LIST => Owner::List,
        shape::SET => Owner::Set,
        shape::DEQUE => Owner::Deque,
        shape::QUEUE => Owner::Queue,
        _ => return None,
    };
    let row = site.memory()?.methods.iter().find(|row| row.owner == owner)?;
    (u32::from(row.arguments.0)..=u32::from(row.arguments.1)).contains(&arguments).then_some(row)
}

/// What a method does to its container: which argument is the key, and the action.
fn effect(row: &Method) -> (Option<u32>, u8) {
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
    (key, action)
}

/// `len(x)`, `getattr(x, name)`, `sum(x)` …: only when the callee really is the builtin of that name.
#[inline(never)]
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
        "getattr" | "hasattr" => access::attribute(site, subject, Key::Computed(argument(1)), action::READ, nothing),
        "setattr" => access::attribute(site, subject, Key::Computed(argument(1)), action::WRITE, argument(2)),
        "delattr" => access::attribute(site, subject, Key::Computed(argument(1)), action::DELETE, nothing),
        _ => {
            if let Some(row) = site.memory().and_then(|memory| memory.function) {
                let action = match row.touch {
                    method::Touch::Read | method::Touch::Walk => action::READ,
                    method::Touch::View => return,
                    method::Touch::Replace => action::REPLACE,
                    _ => action::UPDATE,
                };
                let container = argument(u32::from(row.container));
                whole(site, container, action);
                if row.touch == method::Touch::Walk {
                    iteration::consumed(site, function, container, arguments > 1);
                }
            }
        }
    }
}

/// A builtin function of that name, or the builtin type.
fn is_builtin(site: &Site, callable: Obj, name: &str) -> bool {
    let layout = &site.fixed.layout;
    let kind = layout.type_of(callable);
    let Some(memory) = site.memory() else { return false };
    let is_method = kind == object!(PyMethodDescr_Type);
    if is_method || kind == object!(PyCFunction_Type) {
        // SAFETY: a builtin's definition follows its header; that of a method, its type, name and qualified name.
        let def: Obj = unsafe { field(callable, layout.header + if is_method { 24 } else { 0 }) };
        if def == memory.callable.load(Ordering::Relaxed) {
            return true;
        }
        // SAFETY: the definition lives as long as the function; its name is NUL-terminated.
        let its_name = unsafe { std::ffi::CStr::from_ptr((*def.cast::<ffi::MethodDef>()).name) }.to_bytes();
        // In `bisect` the short names stand for what goes to the right.
        let is_it = its_name == name.as_bytes()
            || (matches!(name, "bisect" | "insort") && its_name.strip_suffix(b"_right") == Some(name.as_bytes()));
        if is_it {
            memory.callable.store(def, Ordering::Relaxed);
        }
        return is_it;
    }
    kind == object!(PyType_Type) && crate::names::type_name(layout, callable) == name
}
