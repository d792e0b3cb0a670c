//! Callbacks of event loops: what the program schedules comes before it runs, and so does the future that a callback is
//! told of. Steps of tasks are no callbacks here, nor is what the library schedules for itself.

use std::sync::atomic::{AtomicUsize, Ordering};

use racetrace_probes::wire::{Kind, Origin};

use crate::ffi::{self, Obj, field};
use crate::layout::Layout;
use crate::state::{self, Fixed};
use crate::{hooks, object, sync, tasks, thread};

/// Frames of the event loop's own between a callback's making and whoever asked for it.
const DEEPEST: usize = 6;

/// `Handle.__init__` is entered.
pub fn made(fixed: &Fixed, callback: Obj, handle: Obj, frame: Obj) {
    if !callback.is_null() && is_function(&fixed.layout, callback) && asked_for_by_program(fixed, frame) {
        tasks::strand(fixed, thread::current(), frame);
        sync::channel(fixed, Kind::Signal, handle);
    }
}

fn is_function(layout: &Layout, callback: Obj) -> bool {
    let kind = layout.type_of(callback);
    kind == object!(PyFunction_Type)
        || kind == object!(PyMethod_Type)
        || (!is_of_task(layout, callback) && crate::names::type_name(layout, kind) == "functools.partial")
}

/// Only the event loop's own functions lie between, and none that runs callbacks.
fn asked_for_by_program(fixed: &Fixed, frame: Obj) -> bool {
    let layout = &fixed.layout;
    let mut at = layout.previous(frame);
    for _ in 0..DEEPEST {
        if at.is_null() {
            return false;
        }
        let Some(entry) = state::with(|state, _| state.codes.entry(layout.code(at))).flatten() else { return false };
        if entry.origin != Origin::Standard {
            return true;
        }
        if entry.sync == Some(sync::Role::CallbackRuns)
            || !matches!(entry.module.as_str(), "asyncio.events" | "asyncio.base_events")
        {
            return false;
        }
        at = layout.previous(at);
    }
    false
}

/// Is it a step of a task (a builtin), before which nothing has to be said? Where a task gave way, it is said that it has.
pub fn is_step(fixed: &Fixed, handle: Obj) -> bool {
    let layout = &fixed.layout;
    let thread = thread::current();
    !thread.gave_way.get()
        && slot(layout, handle, &CALLBACK).is_some_and(|callback| is_of_task(layout, callback))
        && !sync::was_handed_over(thread)
}

/// `_asyncio`'s own: what begins or wakes a task.
fn is_of_task(layout: &Layout, callback: Obj) -> bool {
    static STEP: AtomicUsize = AtomicUsize::new(0);
    let kind = layout.type_of(callback);
    if kind == object!(PyCFunction_Type) || kind as usize == STEP.load(Ordering::Relaxed) {
        return true;
    }
    let is_step = crate::names::type_name(layout, kind).ends_with("TaskStepMethWrapper");
    if is_step {
        STEP.store(kind as usize, Ordering::Relaxed);
    }
    is_step
}

/// `Handle._run` is entered.
pub fn runs(fixed: &Fixed, handle: Obj) {
    let scheduled = state::with(|state, _| state.objects.known(handle)).flatten();
    if scheduled.is_some() {
        sync::channel(fixed, Kind::Observe, handle);
    }
    let layout = &fixed.layout;
    if let (Some(callback), Some(arguments)) = (slot(layout, handle, &CALLBACK), slot(layout, handle, &ARGUMENTS)) {
        // A builtin is what wakes a task, which looks at its future itself.
        if layout.type_of(callback) != object!(PyCFunction_Type)
            && layout.type_of(arguments) == object!(PyTuple_Type)
            // SAFETY: a tuple; its items are borrowed.
            && unsafe { ffi::PyTuple_Size(arguments) } > 0
        {
            // SAFETY: as above.
            hooks::asyncio::told_of(fixed, unsafe { ffi::PyTuple_GetItem(arguments, 0) });
        }
    }
}

static CALLBACK: AtomicUsize = AtomicUsize::new(0);
static ARGUMENTS: AtomicUsize = AtomicUsize::new(0);

/// What a slot of a handle holds: where it lies is asked of its type the first time.
fn slot(layout: &Layout, handle: Obj, place: &AtomicUsize) -> Option<Obj> {
    let offset = match place.load(Ordering::Relaxed) {
        0 => {
            let name = if std::ptr::eq(place, &CALLBACK) { c"_callback" } else { c"_args" };
            let found = offset_of(layout, handle, name)?;
            place.store(found, Ordering::Relaxed);
            found
        }
        known => known,
    };
    // SAFETY: an object slot of the handle, at the place that its type has given it.
    let value: Obj = unsafe { field(handle, offset) };
    (!value.is_null()).then_some(value)
}

/// The place of a member that `__slots__` has made.
fn offset_of(layout: &Layout, object: Obj, name: &std::ffi::CStr) -> Option<usize> {
    #[repr(C)]
    struct Member {
        name: *const std::ffi::c_char,
        kind: std::ffi::c_int,
        offset: isize,
    }
    let descriptor = hooks::of(layout.type_of(object), name);
    if descriptor.is_null() {
        return None;
    }
    let found = (layout.type_of(descriptor) == object!(PyMemberDescr_Type)).then(|| {
        // SAFETY: a member descriptor has its definition after type, name and qualified name.
        unsafe { (*field::<*const Member>(descriptor, layout.header + 24)).offset }
    });
    // SAFETY: the reference that `of` took.
    unsafe { ffi::Py_DecRef(descriptor) };
    found.and_then(|offset| usize::try_from(offset).ok()).filter(|offset| *offset != 0)
}
