//! `_queue.SimpleQueue`: what is put comes before what is got. Who waits for something to be put says so.

use racetrace_probes::wire::Kind;

use crate::ffi::Obj;
use crate::hooks::{Call, exchange_all, of, threads};
use crate::layout::Layout;
use crate::objects::type_info;
use crate::{object, state, sync, tasks, thread};

pub fn start(layout: &Layout, module: Obj) {
    let class = of(module, c"SimpleQueue");
    exchange_all(layout, class, &[c"put", c"put_nowait"], put);
    exchange_all(layout, class, &[c"get"], get);
    exchange_all(layout, class, &[c"get_nowait"], take);
}

fn put(call: &Call) -> Obj {
    say(Kind::Signal, call, call.argument(0, c"item"));
    call.go_on()
}

/// `get(block=True, timeout=None)`.
fn get(call: &Call) -> Obj {
    let timeout = call.argument(1, c"timeout");
    let patient = timeout.is_null() || timeout == object!(_Py_NoneStruct);
    if patient
        && call.argument(0, c"block") != object!(_Py_FalseStruct)
        && let Some(fixed) = state::fixed()
    {
        let id = thread::outermost(|| {
            type_info(&fixed.layout, fixed.layout.type_of(call.receiver));
            state::with(|state, layout| state.objects.channel(layout, &mut state.names, call.receiver))
        });
        if let Some(Some(id)) = id {
            threads::blocks(fixed, threads::A_CHANNEL, id);
        }
    }
    take(call)
}

fn take(call: &Call) -> Obj {
    let item = call.go_on();
    if !item.is_null() {
        say(Kind::Observe, call, item);
    }
    item
}

fn say(kind: Kind, call: &Call, item: Obj) {
    if let Some(fixed) = state::fixed() {
        thread::outermost(|| {
            tasks::strand(fixed, thread::current(), tasks::current_frame(&fixed.layout));
            sync::item(fixed, kind, call.receiver, item);
        });
    }
}
