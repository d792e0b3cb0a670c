//! `_queue.SimpleQueue`: what is put comes before what is got.

use racetrace_probes::wire::Kind;

use crate::ffi::Obj;
use crate::hooks::{Call, exchange_all, of};
use crate::layout::Layout;
use crate::{state, sync, tasks, thread};

pub fn start(layout: &Layout, module: Obj) {
    let class = of(module, c"SimpleQueue");
    exchange_all(layout, class, &[c"put", c"put_nowait"], put);
    exchange_all(layout, class, &[c"get", c"get_nowait"], get);
}

fn put(call: &Call) -> Obj {
    say(Kind::Signal, call);
    call.go_on()
}

fn get(call: &Call) -> Obj {
    let item = call.go_on();
    if !item.is_null() {
        say(Kind::Observe, call);
    }
    item
}

fn say(kind: Kind, call: &Call) {
    if let Some(fixed) = state::fixed() {
        thread::outermost(|| {
            tasks::strand(fixed, thread::current(), tasks::current_frame(&fixed.layout));
            sync::channel(fixed, kind, call.receiver);
        });
    }
}
