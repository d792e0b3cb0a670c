//! Watching of instructions, whichever way this version offers.

use crate::hooks::locks;
use crate::state::Fixed;
use crate::{monitor, tasks, trace, variables};

/// From 3.12 on `sys.monitoring`; before, a trace function.
fn has_monitoring(fixed: &Fixed) -> bool {
    fixed.layout.minor >= 12
}

pub fn start(fixed: &Fixed) -> Result<(), &'static str> {
    if has_monitoring(fixed) { monitor::start() } else { trace::start(fixed) }
}

/// There is a second strand now.
pub fn activate(fixed: &Fixed) {
    locks::tell(fixed);
    variables::second_strand(fixed, tasks::current_frame(&fixed.layout));
    if has_monitoring(fixed) { monitor::activate() } else { trace::activate(fixed) }
}

/// What was found not to be worth watching is watched again.
pub fn again(fixed: &Fixed) {
    if has_monitoring(fixed) {
        monitor::restart();
    }
}

/// Takes back what instruments the program's code. (A trace function is only ever set in a process from its start on.)
pub fn stop() {
    monitor::stop();
}

/// Runs in a thread that begins.
pub fn thread_begins(fixed: &Fixed) {
    if !has_monitoring(fixed) {
        trace::thread_begins(fixed);
    }
}
