//! What event loops wait in when they have nothing to do, and for how long: `select.epoll.poll`. (uvloop waits elsewhere,
//! and is not asked.) What came of the wait is not looked at.

use racetrace_probes::wire::Kind;

use crate::ffi::{Obj, field};
use crate::hooks::{Call, attribute, exchange_all, of};
use crate::layout::Layout;
use crate::{names, object, ring, state, thread};

pub fn start(layout: &Layout, module: Obj) {
    exchange_all(layout, of(module, c"epoll"), &[c"poll"], wait);
}

/// A loop begins to run on this thread: one with a selector will say how long it waits.
pub fn begins(running: Obj) {
    if attribute(running, c"_selector", |_| Some(())).is_some() {
        say_waited(0);
    }
}

/// `epoll.poll(timeout=None, maxevents=-1)`, in seconds. What comes late because the thread gets no processor is not waited
/// for.
fn wait(call: &Call) -> Obj {
    /// Shorter waits are told together.
    const TOLD: u64 = 1_000_000;
    let thread = thread::current();
    let longest = most_waited(call);
    if thread.loops() == 0 || longest == 0 {
        return call.go_on();
    }
    let began = ring::monotonic_ns();
    let result = call.go_on();
    let waited = thread.waited.get() + ring::monotonic_ns().saturating_sub(began).min(longest);
    thread.waited.set(waited);
    if waited >= TOLD {
        thread.waited.set(0);
        say_waited(waited);
    }
    result
}

/// In nanoseconds.
fn most_waited(call: &Call) -> u64 {
    let timeout = call.argument(0, c"timeout");
    let Some(layout) = state::fixed().map(|fixed| &fixed.layout) else { return 0 };
    if timeout.is_null() || timeout == object!(_Py_NoneStruct) {
        return u64::MAX;
    }
    let kind = layout.type_of(timeout);
    let seconds = if kind == object!(PyFloat_Type) {
        // SAFETY: a float's value follows its header.
        unsafe { field::<f64>(timeout, layout.header) }
    } else if kind == object!(PyLong_Type) {
        names::small_int(layout, timeout).unwrap_or(-1) as f64
    } else {
        -1.0
    };
    if seconds < 0.0 { u64::MAX } else { (seconds * 1e9) as u64 }
}

/// The loop of this thread had nothing to do for so long; 0: it is one that says so.
pub fn say_waited(nanoseconds: u64) {
    thread::outermost(|| {
        let mut slot = ring::slot(Kind::LoopWaited, thread::tid());
        slot.a = nanoseconds;
        state::with(|_, _| ring::push(slot));
    });
}
