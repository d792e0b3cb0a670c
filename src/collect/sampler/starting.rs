//! Threads that are bound to be started: their starter stands in the start of one, and comes to the next with nothing in
//! between that could make it wait. What the one that has begun does and what they will do has no order, however soon it
//! ends. It follows `for` loops over lists of threads and threads kept in variables.

use std::rc::Rc;

use racetrace_probes::call::{Call, calls};
use racetrace_probes::flow::Value;
use racetrace_probes::opcode::Op;

use crate::cpython::python::Python;
use crate::target::address::RemoteAddr;
use crate::target::memory::Memory;

use super::codes::{Codes, KnownCode};
use super::course::{self, Callee};
use super::found::{Comes, Coming, Strand};
use super::plain::{Asked, Plain, Plainness};
use super::strand::Activation;
use super::value::Scope;
use super::ways::{Standing, Ways, spins_before};

/// Of more threads the first are enough.
const MOST_THREADS: usize = 4;
const MOST_ELEMENTS: usize = 64;

/// A thread that starts another one now.
struct Starter<'a> {
    /// The frame of `Thread.start`, and the one that called it.
    start: &'a Activation,
    caller: &'a Activation,
    /// The thread that it starts.
    current: RemoteAddr,
}

/// Finds for each freely running thread that is just being started those which will be started next, and come to the same
/// windows. `is_users` tells the program's own files.
pub(super) fn read_rivals<M: Memory>(
    python: &Python<M>,
    codes: &mut Codes,
    known: &mut Plainness,
    strands: &mut [Strand],
    is_users: &impl Fn(&KnownCode) -> bool,
) {
    let mut told: Vec<(usize, usize, String)> = Vec::new();
    for starter in strands.iter().filter_map(|strand| starter(python, &strand.view.frames)) {
        let ident = ident(python, starter.current);
        let begun = |strand: &&Strand| strand.task.is_none() && Some(strand.view.state.ident) == ident;
        let Some((index, worker)) = strands.iter().enumerate().find(|(_, strand)| begun(strand)) else { continue };
        if worker.working.is_empty() {
            continue;
        }
        let mut rivals = Vec::new();
        for next in upcoming(python, codes, known, &starter).into_iter().take(MOST_THREADS) {
            let Some(callee) = what_it_runs(python, codes, next) else { continue };
            let same = shared(python, codes, worker, &callee, is_users);
            rivals.extend(same.into_iter().map(|window| (window, next)));
        }
        // All of it was so while one thread was being started, if it is being started still.
        let is_so = python.frame_now(starter.start.frame.at) == Some(starter.start.frame)
            && python.frame_now(starter.caller.frame.at) == Some(starter.caller.frame)
            && starts_now(python, starter.start) == Some(starter.current);
        if is_so {
            let unstarted = rivals.into_iter().filter(|(_, next)| is_unstarted_now(python, *next));
            told.extend(unstarted.map(|(window, next)| (index, window, name(python, next))));
        }
    }
    for (strand, window, name) in told {
        if let Some(window) = strands.get_mut(strand).and_then(|strand| strand.working.get_mut(window)) {
            window.rival = Some(name);
        }
    }
}

fn starter<'a, M: Memory>(python: &Python<M>, frames: &'a [Activation]) -> Option<Starter<'a>> {
    let is_start = |frame: &Activation| is_threadings(&frame.code) && frame.code.remote.code.name == "start";
    let index = frames.iter().take_while(|frame| is_threadings(&frame.code)).position(is_start)?;
    let (start, caller) = (frames.get(index)?, frames.get(index + 1)?);
    let current = *python.slots(start.frame.at, 1).ok()?.first().filter(|current| is_thread(python, **current))?;
    Some(Starter { start, caller, current })
}

/// Which thread a frame of `Thread.start` is about, read anew.
fn starts_now<M: Memory>(python: &Python<M>, start: &Activation) -> Option<RemoteAddr> {
    let word = python.pointer_now(python.slot_address(start.frame.at, 0))?;
    Some(RemoteAddr(word.0 & !python.layout.frame.tag_bits))
}

fn is_threadings(code: &KnownCode) -> bool {
    code.remote.code.filename.ends_with("/threading.py")
}

fn is_thread<M: Memory>(python: &Python<M>, object: RemoteAddr) -> bool {
    !object.is_null() && python.type_of(object).is_ok_and(|class| python.derives_from(class.at, "Thread"))
}

fn ident<M: Memory>(python: &Python<M>, thread: RemoteAddr) -> Option<u64> {
    python.ident(python.attribute(thread, "_ident").ok()??)
}

fn name<M: Memory>(python: &Python<M>, thread: RemoteAddr) -> String {
    let name = python.attribute(thread, "_name").ok().flatten().and_then(|name| python.text(name).ok());
    name.unwrap_or_else(|| "(unnamed)".to_owned())
}

/// A thread gets its number when it begins.
fn is_unstarted<M: Memory>(python: &Python<M>, thread: RemoteAddr) -> bool {
    let ident = python.attribute(thread, "_ident").ok().flatten();
    is_thread(python, thread) && ident.is_some_and(|ident| python.type_of(ident).is_ok_and(|class| class.is_builtin("NoneType")))
}

/// The same, read anew.
fn is_unstarted_now<M: Memory>(python: &Python<M>, thread: RemoteAddr) -> bool {
    let before = python.attribute(thread, "_ident").ok().flatten();
    let slot = python.attribute_slot(thread, "_ident").ok().flatten();
    is_unstarted(python, thread) && before.is_some() && slot.and_then(|slot| python.pointer_now(slot)) == before
}

/// The threads that will be started next.
fn upcoming<M: Memory>(python: &Python<M>, codes: &mut Codes, known: &mut Plainness, starter: &Starter<'_>) -> Vec<RemoteAddr> {
    let mut found = Vec::new();
    let caller = starter.caller;
    let Some(scope) = Scope::of_frame(python, caller) else { return found };
    let Some(ways) = Ways::from(scope.code(), scope.flow, caller.offset, Standing::Caller) else { return found };
    let mut plain = Plain { python, codes, known, asked: Asked::Waits };
    let list = scope.flow.list();
    let all = (0..list.len()).filter(|at| list.get(*at).is_some_and(|found| calls(found.op)) && scope.flow.reached(*at));
    for (at, thread) in all.filter_map(|at| Some((at, started(&scope, at)?))) {
        let between = ways.between(at).filter(|_| !spins_before(scope.flow, at));
        let Some(passed) = between.and_then(|between| ways.calls(&between)) else { continue };
        let mut is_free = |call: &usize| {
            let other = started(&scope, *call).and_then(|thread| scope.value(thread));
            other.is_some_and(|other| starts_plainly(python, &mut *plain.codes, other)) || plain.is_plain(&scope, *call)
        };
        if passed.iter().all(&mut is_free) {
            found.extend(threads(&scope, thread));
        }
    }
    found.retain(|next| *next != starter.current && is_unstarted(python, *next) && starts_plainly(python, codes, *next));
    found.dedup();
    found
}

/// What `start()` is called on there, if that is what is called.
fn started<M: Memory>(scope: &Scope<'_, M>, at: usize) -> Option<Value> {
    let call = Call::at(scope.flow, scope.code(), at).filter(|call| call.arguments == 0)?;
    let (made, maker) = scope.flow.maker(call.callee)?;
    let is_start = matches!(maker.op, Op::LoadAttr | Op::LoadMethod) && scope.name_of(&maker) == Some("start");
    is_start.then(|| scope.flow.operand(made, 1))
}

/// Is it a thread whose `start` is `threading`'s own?
fn starts_plainly<M: Memory>(python: &Python<M>, codes: &mut Codes, thread: RemoteAddr) -> bool {
    let mut is_own = || {
        let function = python.attribute(thread, "start").ok()??;
        let code = python.memory.pointer(function.plus(python.layout.function.code)).ok();
        let code = code.filter(|_| python.type_of(function).is_ok_and(|class| class.name == "function"))?;
        Some(is_threadings(&*codes.get(python, code)?))
    };
    is_thread(python, thread) && is_own() == Some(true)
}

/// The value itself, or all that the loop which gives it walks.
fn threads<M: Memory>(scope: &Scope<'_, M>, thread: Value) -> Vec<RemoteAddr> {
    let Some((step, _)) = scope.flow.maker(thread).filter(|(_, maker)| maker.op == Op::ForIter) else {
        return scope.value(thread).into_iter().collect();
    };
    let iterator = scope.flow.uses(step).first().and_then(|iterator| scope.value(*iterator));
    iterator.and_then(|iterator| elements(scope.python, iterator)).unwrap_or_default()
}

/// The elements of the list or tuple that an iterator walks. From 3.15 on it stands there itself.
fn elements<M: Memory>(python: &Python<M>, iterator: RemoteAddr) -> Option<Vec<RemoteAddr>> {
    let (class, header) = (python.type_of(iterator).ok()?, python.layout.object.header);
    let walked = match class.name.as_str() {
        // {header, position, what is walked}
        "list_iterator" | "tuple_iterator" => python.memory.pointer(iterator.plus(header + 8)).ok().filter(|at| !at.is_null())?,
        "list" | "tuple" => iterator,
        _ => return None,
    };
    if python.type_of(walked).ok()?.is_builtin("tuple") {
        return python.tuple(walked).ok().map(|items| items.into_iter().take(MOST_ELEMENTS).collect());
    }
    let mut found = Vec::new();
    for index in (0..).take(MOST_ELEMENTS) {
        let Some(slot) = python.list_slot(walked, index) else { break };
        found.push(python.memory.pointer(slot).ok()?);
    }
    Some(found)
}

/// The function that a thread will run, with what it will be given.
fn what_it_runs<M: Memory>(python: &Python<M>, codes: &mut Codes, thread: RemoteAddr) -> Option<Callee> {
    let run = python.attribute(thread, "run").ok()??;
    let own = course::of_function(python, codes, run, Some(thread), &[])?;
    if !is_threadings(&own.code) {
        return Some(own);
    }
    let none = |name: &str| {
        let value = python.attribute(thread, name).ok()??;
        (python.type_of(value).ok()?.is_builtin("dict") && python.dict_len(value).ok()? == 0).then_some(())
    };
    none("_kwargs")?;
    let arguments = python.tuple(python.attribute(thread, "_args").ok()??).ok()?;
    course::of_function(python, codes, python.attribute(thread, "_target").ok()??, None, &arguments)
}

/// Which of the worker's windows the function comes to as well, on the same subjects.
fn shared<M: Memory>(
    python: &Python<M>,
    codes: &mut Codes,
    worker: &Strand,
    callee: &Callee,
    is_users: &impl Fn(&KnownCode) -> bool,
) -> Vec<usize> {
    let runs_it = worker.view.frames.iter().any(|frame| frame.code.remote.at == callee.code.remote.at);
    let Some(scope) = Scope::of_callee(python, &callee.code, callee.globals, &callee.given).filter(|_| runs_it) else {
        return Vec::new();
    };
    let reached = course::reached(python, codes, &callee.code, &scope, None, is_users);
    let is_same = |window: &Coming| {
        let code = code_of(worker, window);
        reached.iter().any(|other| {
            let other_code = other.via.last().map_or(&callee.code, |via| &via.code);
            code.is_some_and(|code| Rc::ptr_eq(code, other_code))
                && matches!(window.act, Comes::Window { window, .. } if window == other.window)
                && (window.subject.object, &window.subject.part) == (other.subject.object, &other.subject.part)
        })
    };
    (0..).zip(&worker.working).filter(|(_, window)| is_same(window)).map(|(index, _)| index).collect()
}

/// The code that a window is in.
fn code_of<'a>(worker: &'a Strand, window: &'a Coming) -> Option<&'a Rc<KnownCode>> {
    match window.via.last() {
        Some(via) => Some(&via.code),
        None => worker.view.frames.get(window.frame).map(|frame| &frame.code),
    }
}
