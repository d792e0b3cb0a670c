//! Values that processes share (`multiprocessing.Value`, `Array`): each access takes their lock and gives it back, and is
//! noticed there. What has no lock (`RawValue`, `shared_memory`) is not seen.

use racetrace_probes::wire::{Kind, Origin, action};

use super::{attribute, family};
use crate::codes::{self, Entry};
use crate::ffi::{self, Obj};
use crate::layout::Layout;
use crate::state::{self, Fixed};
use crate::{names, object, objects, ring, stacks, tasks, thread};

const MODULE: &str = "multiprocessing.sharedctypes";
/// Calls between the function that reads or writes and the lock's own.
const BETWEEN: usize = 3;

/// A reading or writing function of such a value.
struct Accessor {
    frame: Obj,
    action: u8,
    /// The attribute; `None`: an item.
    attribute: Option<String>,
}

/// The lock of that name was taken: if it was for an access, that is noted, at the place in the program's own code.
pub(super) fn locked(fixed: &Fixed, lock: &str) -> bool {
    thread::outermost(|| note(fixed, lock)).flatten().is_some()
}

fn note(fixed: &Fixed, lock: &str) -> Option<()> {
    let layout = &fixed.layout;
    let accessor = accessor(fixed)?;
    let caller = layout.previous(accessor.frame);
    if caller.is_null() || codes::of_frame(fixed, caller)?.origin != Origin::User {
        return None;
    }
    let value = layout.local(accessor.frame, 0);
    if value.is_null() || objects::module_of(layout.type_of(value)).as_deref() != Some(MODULE) {
        return None;
    }
    let start = start_of(layout, value)?;
    let part = match accessor.attribute {
        Some(attribute) => format!(".{attribute}"),
        None => match names::int(layout, layout.local(accessor.frame, 1)) {
            Some(index) => format!("[{index}]"),
            None => String::new(),
        },
    };
    say(fixed, caller, &format!("{lock}+{start}{part}"), accessor.action)
}

/// Notes an access to what all processes call `what`, made in the program's own frame `caller`.
pub(super) fn say(fixed: &Fixed, caller: Obj, what: &str, action: u8) -> Option<()> {
    family::name_process();
    tasks::strand(fixed, thread::current(), tasks::current_frame(&fixed.layout));
    let stack = stacks::stack(fixed, caller, None);
    let known = state::with(|state, _| state.names.text(what))?;
    let mut slot = ring::slot(Kind::Shared, thread::tid());
    (slot.word, slot.small, slot.stack, slot.d) = (known, action, stack, caller as u64);
    tasks::say(thread::current(), slot);
    Some(())
}

fn accessor(fixed: &Fixed) -> Option<Accessor> {
    let layout = &fixed.layout;
    for frame in layout.frames(tasks::current_frame(layout)).take(BETWEEN + 1) {
        let entry = codes::of_frame(fixed, frame)?;
        if let Some((action, attribute)) = meaning(entry) {
            return Some(Accessor { frame, action, attribute });
        }
        if !matches!(entry.module.as_str(), MODULE | "multiprocessing.synchronize") {
            return None;
        }
    }
    None
}

/// Accessors of attributes are made from a text, and are not in the module.
fn meaning(entry: &Entry) -> Option<(u8, Option<String>)> {
    match entry.qualname.as_str() {
        "SynchronizedArray.__getitem__" => Some((action::READ, None)),
        "SynchronizedArray.__setitem__" => Some((action::WRITE, None)),
        name if entry.origin == Origin::Standard && entry.module != "multiprocessing.synchronize" => {
            let reads = name.strip_prefix("get").map(|attribute| (action::READ, attribute));
            let (action, attribute) = reads.or_else(|| Some((action::WRITE, name.strip_prefix("set")?)))?;
            (!attribute.is_empty() && !attribute.contains(['.', '_'])).then(|| (action, Some(attribute.to_owned())))
        }
        _ => None,
    }
}

/// Where in the memory that they share the value begins.
fn start_of(layout: &Layout, value: Obj) -> Option<i64> {
    let item = |tuple: Obj, at: isize| {
        // SAFETY: checked to be a tuple that is long enough; the item is borrowed.
        unsafe {
            (layout.type_of(tuple) == object!(PyTuple_Type) && ffi::PyTuple_Size(tuple) > at)
                .then(|| ffi::PyTuple_GetItem(tuple, at))
        }
    };
    attribute(value, c"_obj", |raw| {
        attribute(raw, c"_wrapper", |wrapper| {
            attribute(wrapper, c"_state", |state| names::int(layout, item(item(state, 0)?, 1)?))
        })
    })
}
