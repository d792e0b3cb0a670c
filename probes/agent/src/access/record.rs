//! From a subject that is touched to its record: whether the access is redundant is seen by what its watch met last, then
//! by looking it up; only what is not is written. What a subject is, is decided before.

use racetrace_probes::wire::{Kind, Slot, action, shape};

use super::{Key, Site, Touch};
use crate::ffi::{self, Obj};
use crate::iteration::Iterations;
use crate::layout::Layout;
use crate::names::{KeyKind, Names, key_id, utf8};
use crate::recent::{Candidate, Deed, Place};
use crate::state::{self, State};
use crate::{ring, stacks, tasks};

/// Writes an access unless it is redundant.
#[inline]
pub fn record(site: &Site, touch: Touch) {
    if !touch.object.is_null() && !is_repeated(site, &touch) {
        record_anew(site, &touch);
    }
}

/// Is the access what the watch met last, and redundant? Then all is done.
#[inline(always)]
pub fn is_repeated(site: &Site, touch: &Touch) -> bool {
    let strand = tasks::strand(site.fixed, site.thread, site.frame);
    state::within(site.fixed, |state, layout| repeats(state, layout, site, strand, touch)).flatten().is_some()
}

#[inline(always)]
fn repeats(state: &mut State, layout: &Layout, site: &Site, strand: u64, touch: &Touch) -> Option<()> {
    // SAFETY: inside the gate, and not kept.
    let met = unsafe { site.memory()?.get() };
    let key = match touch.key {
        Key::Whole => 0,
        Key::Name(name) => met.key_of(name)?,
        Key::Item(key) if touch.shape != shape::MODULE => key_id(layout, key, KeyKind::Item),
        Key::Item(_) | Key::Computed(_) => return None,
    };
    let object = met.id(touch.object, state.objects.era(touch.object))?;
    if !met.has_key(key, state.names.era) {
        return None;
    }
    let State { recent, names, iterations, .. } = state;
    let deed = recent.repeats(&candidate(site, strand, object, key, met.cell))?;
    note(deed, names, iterations, layout, site, touch);
    Some(())
}

#[inline(always)]
fn candidate(site: &Site, strand: u64, object: u64, key: u64, cell: u32) -> Candidate {
    let place = u64::from(site.entry.id) << 32 | u64::from(site.offset);
    Candidate { thread: site.thread, strand, site: place, object, key, cell }
}

/// Notes what is done. What is not stored is not looked at.
#[inline(always)]
fn note(deed: &mut Deed, names: &mut Names, iterations: &mut Iterations, layout: &Layout, site: &Site, touch: &Touch) {
    (deed.action, deed.frame) = (touch.action, site.frame as u64);
    (deed.value_kind, deed.value_text, deed.value) = (0, 0, 0);
    if touch.action != action::READ {
        (deed.value_kind, deed.value_text, deed.value) = names.value(layout, touch.value);
        if touch.shape >= shape::DICT {
            iterations.changed();
        }
    }
}

/// Whatever was not seen at once to be redundant.
#[inline(never)]
pub fn record_anew(site: &Site, touch: &Touch) {
    let strand = tasks::strand(site.fixed, site.thread, site.frame);
    let mut slot = ring::slot(Kind::Access, site.thread.tid());
    let judged = state::within(site.fixed, |state, layout| {
        let place = judge(state, layout, site, strand, touch, &mut slot)?;
        // Most stacks are known: then there is nothing to leave the gate for.
        match state.stacks.known(layout, site.frame, Some(site.offset)) {
            Some(stack) => {
                slot.stack = stack;
                write(state, layout, site, place, slot);
                None
            }
            None => Some(place),
        }
    });
    if let Some(place) = judged.flatten() {
        slot.stack = stacks::stack(site.fixed, site.frame, Some(site.offset));
        state::within(site.fixed, |state, layout| write(state, layout, site, place, slot));
    }
}

fn write(state: &mut State, layout: &Layout, site: &Site, place: Place, slot: Slot) {
    state.recent.recorded(place, slot.stack);
    if site.thread.pending.get().is_some() {
        state.settle(layout, site.thread);
    }
    ring::push(slot);
}

/// Fills the record in. Where it is to be noted that it was written, unless it is redundant.
fn judge(state: &mut State, layout: &Layout, site: &Site, strand: u64, touch: &Touch, slot: &mut Slot) -> Option<Place> {
    let (object, key, cell) = subject(state, layout, site, touch)?;
    let State { recent, names, iterations, .. } = state;
    let mut deed = Deed::NOTHING;
    note(&mut deed, names, iterations, layout, site, touch);
    (slot.a, slot.b, slot.small) = (object, key, deed.action);
    (slot.short, slot.word, slot.c, slot.d) = (deed.value_kind, deed.value_text, deed.value, deed.frame);
    let place = recent.judge(&candidate(site, strand, object, key, cell), deed)?;
    if recent.is_crowded {
        recent.deal_anew();
        names.era += 1;
    }
    Some(place)
}

/// The ids of object and key, and their cell in `recent`.
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
