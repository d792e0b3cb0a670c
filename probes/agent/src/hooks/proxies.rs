//! What a manager keeps for several processes (`multiprocessing.Manager`): each call of a proxy's method goes to the manager
//! and back. Calls that read or change a dict, a list, a namespace or a value are accesses to what processes share; those of
//! a lock take it. What the manager answers to these is no news of other processes; what comes of a queue or an event is.

use racetrace_probes::wire::{Kind, MANAGED, Origin, action};

use super::{attribute, family, shared};
use crate::codes;
use crate::ffi::{self, Obj};
use crate::layout::Layout;
use crate::state::Fixed;
use crate::{names, object, tasks};

const MODULE: &str = "multiprocessing.managers";
/// Calls between the program's own code and the one that asks the manager.
const BETWEEN: usize = 3;
/// Calls between what asks the manager and what receives the answer, greetings included.
const BELOW: usize = 8;

/// What a call of a proxy's method does.
enum Call {
    Access { action: u8, part: String },
    Acquire,
    Release,
}

/// A proxy's method is about to be called: `_callmethod(self, methodname, args, kwds)` is entered.
pub fn called(fixed: &Fixed, frame: Obj) {
    match call(&fixed.layout, frame) {
        Some(Call::Access { action: action::WRITE, part }) => {
            access(fixed, frame, action::WRITE, &part);
        }
        Some(Call::Release) => say(fixed, frame, Kind::LockReleased),
        _ => {}
    }
}

/// It returns: what was read was there by then, and whatever was done before that was stored.
pub fn answered(fixed: &Fixed, frame: Obj, result: Obj) {
    match call(&fixed.layout, frame) {
        Some(Call::Access { action: action::READ, part }) => {
            access(fixed, frame, action::READ, &part);
        }
        Some(Call::Acquire) if result == object!(_Py_TrueStruct) => say(fixed, frame, Kind::LockAcquired),
        _ => {}
    }
}

/// Does what is being received answer such a call, or one that has nothing to say of other processes?
pub fn is_answer(fixed: &Fixed) -> bool {
    let layout = &fixed.layout;
    for frame in layout.frames(tasks::current_frame(layout)).take(BELOW) {
        let Some(entry) = codes::of_frame(fixed, frame) else { return false };
        match (entry.module.as_str(), entry.qualname.as_str()) {
            (MODULE, "BaseProxy._callmethod") => return call(layout, frame).is_some(),
            // A proxy is made or dropped, or greets the manager.
            (MODULE, name) => return name == "dispatch" || name.starts_with("BaseProxy."),
            (module, _) if module.starts_with("multiprocessing.connection") => {}
            _ => return false,
        }
    }
    false
}

fn call(layout: &Layout, frame: Obj) -> Option<Call> {
    let (proxy, method, arguments) = (layout.local(frame, 0), layout.local(frame, 1), layout.local(frame, 2));
    if proxy.is_null() || method.is_null() || arguments.is_null() {
        return None;
    }
    let method = names::utf8(method)?;
    let kind = attribute(proxy, c"_token", |token| attribute(token, c"typeid", |kind| names::utf8(kind).map(str::to_owned)))?;
    let action = match method {
        "__getitem__" | "get" | "__contains__" | "__len__" | "keys" | "values" | "items" | "copy" | "index" | "count"
        | "__getattribute__" | "#GETVALUE" => action::READ,
        "__setitem__" | "__setattr__" | "__delitem__" | "__delattr__" | "set" | "append" | "extend" | "insert" | "pop"
        | "popitem" | "remove" | "clear" | "update" | "setdefault" | "reverse" | "sort" => action::WRITE,
        "acquire" if is_lock(&kind) => return Some(Call::Acquire),
        "release" if is_lock(&kind) => return Some(Call::Release),
        _ => return None,
    };
    let first = argument(layout, arguments);
    let part = match (kind.as_str(), method) {
        ("dict", "__getitem__" | "__setitem__" | "__delitem__" | "__contains__" | "get" | "pop" | "setdefault")
        | ("list" | "Array", "__getitem__" | "__setitem__") => format!("[{}]", key(layout, first?)?),
        ("Namespace", _) => format!(".{}", key(layout, first?)?),
        ("Value", _) => ".value".to_owned(),
        ("dict" | "list" | "Array", _) => String::new(),
        _ => return None,
    };
    Some(Call::Access { action, part })
}

fn is_lock(kind: &str) -> bool {
    matches!(kind, "Lock" | "RLock" | "Condition")
}

fn argument(layout: &Layout, arguments: Obj) -> Option<Obj> {
    // SAFETY: checked to be a tuple with an item, which is borrowed.
    unsafe {
        let there = layout.type_of(arguments) == object!(PyTuple_Type) && ffi::PyTuple_Size(arguments) > 0;
        there.then(|| ffi::PyTuple_GetItem(arguments, 0))
    }
}

/// A key that is the same text in all processes.
fn key(layout: &Layout, key: Obj) -> Option<String> {
    match layout.type_of(key) {
        kind if kind == object!(PyUnicode_Type) => names::utf8(key).map(str::to_owned),
        kind if kind == object!(PyLong_Type) => names::int(layout, key).map(|key| key.to_string()),
        _ => None,
    }
}

/// What all processes call the object that a proxy stands for.
fn name(proxy: Obj) -> Option<String> {
    attribute(proxy, c"_token", |token| {
        let address = attribute(token, c"address", |address| names::utf8(address).map(str::to_owned)).unwrap_or_default();
        attribute(token, c"id", |id| Some(format!("{} {address} {}", MANAGED, names::utf8(id)?)))
    })
}

fn access(fixed: &Fixed, frame: Obj, action: u8, part: &str) -> Option<()> {
    let layout = &fixed.layout;
    let users = |frame: &Obj| codes::of_frame(fixed, *frame).is_some_and(|entry| entry.origin == Origin::User);
    let caller = layout.frames(layout.previous(frame)).take(BETWEEN).find(users)?;
    let what = format!("{}{part}", name(layout.local(frame, 0))?);
    shared::say(fixed, caller, &what, action)
}

fn say(fixed: &Fixed, frame: Obj, kind: Kind) {
    if let Some(name) = name(fixed.layout.local(frame, 0)) {
        family::tell_lock(fixed, kind, &name);
    }
}
