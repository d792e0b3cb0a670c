//! The windows that a thread is bound to come to whatever happens, also in functions that it calls on its way: for threads of
//! which nothing can hold up anything. It follows calls by reading what will be called with what; nothing is run.

use std::rc::Rc;

use racetrace_probes::call::{Call, calls};
use racetrace_probes::code::Code;
use racetrace_probes::flow::Flow;
use racetrace_probes::plan::Plan;

use crate::cpython::object::flags;
use crate::cpython::python::Python;
use crate::target::address::RemoteAddr;
use crate::target::memory::Memory;

use super::approach::{Act, polls};
use super::codes::{Codes, From, KnownCode};
use super::plain::MAKES_GENERATOR;
use super::site::is_asserted;
use super::subject::{self, Subject};
use super::turns;
use super::value::Scope;
use super::ways::{Ways, spins_before};

/// What control is bound to come to within one function.
#[derive(Debug, Clone, Default)]
pub(super) struct Course {
    windows: Vec<Sure>,
    /// Instructions that call something.
    calls: Vec<usize>,
}

/// A window that control comes to for certain.
#[derive(Debug, Clone)]
struct Sure {
    window: u16,
    /// Index of its read into the plan's watches.
    watch: usize,
    /// The `for` loops that come to it in each of their turns.
    steps: Vec<usize>,
}

/// A call on the way to a window, and what it calls.
#[derive(Debug, Clone)]
pub(super) struct Via {
    pub call: u32,
    pub code: Rc<KnownCode>,
    pub globals: RemoteAddr,
}

/// A window that control is bound to come to.
pub(super) struct Reached {
    /// The calls that lead there, the outermost first.
    pub via: Vec<Via>,
    pub window: u16,
    pub read: u32,
    pub write: u32,
    pub subject: Subject,
}

/// A function with what it is called with, by slot.
pub(super) struct Callee {
    pub code: Rc<KnownCode>,
    pub globals: RemoteAddr,
    pub given: Vec<RemoteAddr>,
}

/// Of functions with more calls the first are followed.
const MOST_CALLS: usize = 16;
/// Calls within calls are followed this far.
const DEEPEST: usize = 3;
/// `CO_VARARGS`, `CO_VARKEYWORDS`: what lies in which slot depends on the call.
const TAKES_ANY: u32 = 0x4 | 0x8;

impl Course {
    /// `inside`: the windows that the ways begin within.
    pub fn new(code: &Code, flow: &Flow, plan: &Plan, ways: &Ways<'_>, inside: &[u16]) -> Course {
        let is_certain = |at: usize| !spins_before(flow, at) && ways.between(at).is_some();
        let mut course = Course::default();
        for (index, window) in plan.windows.iter().enumerate() {
            let Some(number) = u16::try_from(index).ok().filter(|number| !inside.contains(number)) else { continue };
            let read = window.reads.iter().find_map(|read| {
                let at = flow.instructions.at(*read)?;
                let counts = !is_asserted(flow, at) && !polls(flow, plan, Act::Opens(number), at) && is_certain(at);
                let watch = plan.watches.iter().position(|watch| watch.offset == *read).filter(|_| counts)?;
                let around = turns::around(flow, at).into_iter().map(|turn| turn.step);
                let steps = around.filter(|step| turns::comes_in_each(flow, *step, at)).collect();
                Some(Sure { window: number, watch, steps })
            });
            course.windows.extend(read);
        }
        let all = flow.list().iter().enumerate().filter(|(at, found)| calls(found.op) && flow.reached(*at));
        let followed = all.map(|(at, _)| at).filter(|at| Call::at(flow, code, *at).is_some()).take(MOST_CALLS);
        course.calls = followed.filter(|at| is_certain(*at)).collect();
        course
    }
}

/// The windows that control is bound to come to from there on. `is_users` tells the program's own files.
pub(super) fn reached<M: Memory>(
    python: &Python<M>,
    codes: &mut Codes,
    code: &Rc<KnownCode>,
    scope: &Scope<'_, M>,
    from: From,
    is_users: &impl Fn(&KnownCode) -> bool,
) -> Vec<Reached> {
    let mut found = Vec::new();
    follow(python, codes, (code, scope, from), &mut Vec::new(), &mut found, is_users);
    found
}

fn follow<M: Memory>(
    python: &Python<M>,
    codes: &mut Codes,
    (code, scope, from): (&Rc<KnownCode>, &Scope<'_, M>, From),
    via: &mut Vec<Via>,
    found: &mut Vec<Reached>,
    is_users: &impl Fn(&KnownCode) -> bool,
) {
    let (Some(plan), true) = (code.plan(), is_users(code)) else { return };
    let course = code.course(from);
    for sure in &course.windows {
        let planned = plan.windows.get(usize::from(sure.window)).zip(plan.watches.get(sure.watch));
        let made = planned.and_then(|(planned, watch)| {
            let at = scope.flow.instructions.at(watch.offset)?;
            let each = |place| Some((scope.each_of(at, place, &sure.steps)?, None));
            let subject = subject::in_scope(python, *scope, at, &watch.operation, each)?;
            let via = via.clone();
            Some(Reached { via, window: sure.window, read: watch.offset, write: planned.write, subject })
        });
        found.extend(made);
    }
    if via.len() >= DEEPEST {
        return;
    }
    for at in &course.calls {
        let (Some(callee), Some(call)) = (callee(python, codes, scope, *at), scope.flow.list().get(*at)) else { continue };
        let Some(inner) = Scope::of_callee(python, &callee.code, callee.globals, &callee.given) else { continue };
        via.push(Via { call: call.offset, code: Rc::clone(&callee.code), globals: callee.globals });
        follow(python, codes, (&callee.code, &inner, None), via, found, is_users);
        via.pop();
    }
}

/// What the call at an instruction will run, if that is a Python function that takes what it is given one by one.
fn callee<M: Memory>(python: &Python<M>, codes: &mut Codes, scope: &Scope<'_, M>, at: usize) -> Option<Callee> {
    let call = Call::at(scope.flow, scope.code(), at).filter(|call| call.keywords == 0)?;
    let object = scope.value(call.callee)?;
    let class = python.type_of(object).ok()?;
    let mut first = None;
    let mut function = object;
    if class.has(flags::TYPE) {
        let made = python.type_info(object).ok().filter(|made| made.has(flags::HEAP))?;
        if has_own_new(python, made.at) {
            return None;
        }
        function = python.class_attribute(made.at, "__init__").ok()??;
        first = Some(RemoteAddr::NULL);
    } else if class.name == "function" {
        let receiver = call.receiver.and_then(|(value, _)| scope.value(value)).or_else(|| scope.owner_of(call.callee));
        first = receiver.filter(|receiver| binds(python, *receiver, object));
    }
    let arguments = (0..call.arguments).map(|index| call.argument(scope.flow, index).and_then(|value| scope.value(value)));
    let arguments: Vec<RemoteAddr> = arguments.map(|argument| argument.unwrap_or(RemoteAddr::NULL)).collect();
    of_function(python, codes, function, first, &arguments)
}

/// Does the class, or a base but `object`, make its instances itself?
fn has_own_new<M: Memory>(python: &Python<M>, class: RemoteAddr) -> bool {
    let found = python.class_attribute(class, "__new__").ok().flatten();
    found.and_then(|found| python.type_of(found).ok()).is_some_and(|found| found.name != "builtin_function_or_method")
}

/// Does the function become a method when it is looked up there? Not one that the object itself keeps.
fn binds<M: Memory>(python: &Python<M>, receiver: RemoteAddr, function: RemoteAddr) -> bool {
    python.type_of(receiver).is_ok_and(|class| class.name != "module" && !class.has(flags::TYPE))
        && python.attribute_holding(receiver, function).is_none()
}

/// A function, or a bound method, that will be called with these arguments behind `first`.
pub(super) fn of_function<M: Memory>(
    python: &Python<M>,
    codes: &mut Codes,
    callable: RemoteAddr,
    first: Option<RemoteAddr>,
    arguments: &[RemoteAddr],
) -> Option<Callee> {
    let (layout, class) = (&python.layout, python.type_of(callable).ok()?);
    let (function, first) = match class.name.as_str() {
        "function" => (callable, first),
        "method" => {
            let receiver = python.memory.pointer(callable.plus(layout.method.receiver)).ok()?;
            (python.memory.pointer(callable.plus(layout.method.function)).ok()?, Some(receiver))
        }
        _ => return None,
    };
    let code = codes.get(python, python.memory.pointer(function.plus(layout.function.code)).ok()?)?;
    let globals = python.memory.pointer(function.plus(layout.function.globals)).ok()?;
    let flags = code.remote.code.flags;
    if flags & (MAKES_GENERATOR | TAKES_ANY) != 0 {
        return None;
    }
    let mut given: Vec<RemoteAddr> = first.into_iter().chain(arguments.iter().copied()).collect();
    if given.len() > code.remote.code.argcount as usize {
        return None;
    }
    given.resize(code.remote.code.locals.len(), RemoteAddr::NULL);
    let enclosing = given.len().checked_sub(code.remote.code.nfrees as usize)?;
    let closure = python.memory.pointer(function.plus(layout.function.closure)).ok()?;
    if !closure.is_null() {
        for (slot, cell) in given.iter_mut().skip(enclosing).zip(python.tuple(closure).ok()?) {
            *slot = cell;
        }
    }
    Some(Callee { code, globals, given })
}
