//! Loops inside C functions and single instructions, which take all elements at once: when others can come between. Loops of
//! the program's own are elsewhere.

use racetrace_probes::wire::{Kind, shape};

use super::{DEEPEST, How, MOST, Step, VIRTUAL, Walked, how, say, tuple_items, tuple_size};
use crate::access::Site;
use crate::ffi::{Obj, field};
use crate::layout::Layout;
use crate::objects::type_info;
use crate::state;
use crate::table::mix2;
use crate::{names, object};

/// A C function walks `subject` from one end to the other: a loop that others can come between where it runs Python code
/// for each element, and on builds without a GIL where it does not hold the container's own lock for all of it.
pub fn consumed(site: &Site, function: &str, subject: Obj, has_key: bool) {
    if subject.is_null() {
        return;
    }
    let layout = &site.fixed.layout;
    let steps = matches!(function, "sum" | "min" | "max" | "any" | "all" | "reduce");
    let copies = matches!(function, "list" | "sorted" | "tuple" | "set" | "frozenset" | "dict" | "join");
    let calls = (steps && has_key) || calls_python(layout, subject, DEEPEST);
    if !(steps || copies) || !(calls || layout.free_threaded) {
        return;
    }
    match view_of(layout, subject) {
        Some(container) if steps => walk(site, container),
        Some(_) => {}
        None => Walked::of(layout, subject).each().for_each(|(_, container)| walk(site, container)),
    }
}

/// The same, of what takes all elements of an iterator and leaves the container itself alone.
pub fn taken(site: &Site, iterator: Obj) {
    let layout = &site.fixed.layout;
    if calls_python(layout, iterator, DEEPEST) || (layout.free_threaded && !iterator.is_null()) {
        Walked::of(layout, iterator).each().for_each(|(_, container)| walk(site, container));
    }
}

/// The container itself, or that of a dict's view.
fn view_of(layout: &Layout, subject: Obj) -> Option<Obj> {
    let class = layout.type_of(subject);
    match names::type_name(layout, class) {
        // SAFETY: a view has its dict after the header; the type is the interpreter's, and cannot be derived from.
        "dict_keys" | "dict_values" | "dict_items" => Some(unsafe { field(subject, layout.header) }),
        _ => matches!(type_info(layout, class).shape, shape::DICT | shape::LIST | shape::SET | shape::DEQUE).then_some(subject),
    }
}

/// An iterator that calls a function written in Python for each element.
fn calls_python(layout: &Layout, iterator: Obj, depth: u32) -> bool {
    if iterator.is_null() || depth == 0 {
        return false;
    }
    let class = layout.type_of(iterator);
    let word = |at: usize| layout.header + 8 * at;
    let is_python = |function: Obj| {
        let kind = if function.is_null() { function } else { layout.type_of(function) };
        kind == object!(PyFunction_Type) || kind == object!(PyMethod_Type)
    };
    // SAFETY: fields of the interpreter's own iterator types, as `how` knows them.
    unsafe {
        match how(layout, class) {
            How::AsksEach(_) if names::type_name(layout, class) == "map" && is_python(field(iterator, word(1))) => true,
            How::Asks(_) if asks_a_function(names::type_name(layout, class)) && is_python(field(iterator, word(0))) => true,
            How::Asks(at) => calls_python(layout, field(iterator, word(at)), depth - 1),
            How::AsksEach(at) => {
                let each: Obj = field(iterator, word(at));
                (0..tuple_size(layout, each).min(MOST))
                    .any(|index| calls_python(layout, field(each, tuple_items(layout) + 8 * index), depth - 1))
            }
            _ => false,
        }
    }
}

/// Does an iterator of that type ask a function about each element?
fn asks_a_function(name: &str) -> bool {
    let name = name.strip_prefix("itertools.").unwrap_or(name);
    matches!(name, "filter" | "takewhile" | "dropwhile" | "filterfalse" | "starmap")
}

/// A walk that is over with the call: between its beginning and its end others may come.
fn walk(site: &Site, container: Obj) {
    if container.is_null() {
        return;
    }
    let place = mix2(site.frame as u64 ^ container as u64, u64::from(site.offset)) | VIRTUAL;
    let step = state::with(|state, _| state.iterations.next(place, site.thread.epoch(), false));
    if matches!(step, Some(Step::Begins | Step::GoesOn)) {
        say(site, &[Kind::IterBegin, Kind::IterNext, Kind::IterEnd], container, |_| place);
    }
}
