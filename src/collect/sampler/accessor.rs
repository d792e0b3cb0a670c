//! Windows that span functions: a frame stands between a call that read a subject and one that will store it (`put(key,
//! work(get(key)))`). What the two calls touch is read off the code of the functions that they call; the calls are not run.

use std::rc::Rc;

use racetrace_probes::call::Call;
use racetrace_probes::flow::Definition;
use racetrace_probes::method::{self, Touch};
use racetrace_probes::plan::{Operation, Place, Span, Watch};

use crate::cpython::python::Python;
use crate::event::Shape;
use crate::target::address::RemoteAddr;
use crate::target::memory::Memory;

use super::codes::{Codes, KnownCode};
use super::strand::Activation;
use super::subject::{self, Subject};
use super::value::Scope;

/// A window across functions that a frame stands in.
pub(super) struct Spanning {
    pub frame: usize,
    pub span: Span,
    /// The functions called at its ends, with where in them the subject is touched.
    pub read: Touched,
    pub write: Touched,
    pub subject: Subject,
    pub locals: Vec<RemoteAddr>,
}

/// Where a function touches a subject.
#[derive(Clone)]
pub(super) struct Touched {
    pub code: Rc<KnownCode>,
    pub globals: RemoteAddr,
    pub offset: u32,
}

/// A call whose function is known.
struct Called {
    code: Rc<KnownCode>,
    globals: RemoteAddr,
    receiver: Option<RemoteAddr>,
    /// Index of the call in its caller.
    at: usize,
    /// Arguments are one slot further on in the function.
    bound: bool,
}

/// The windows across functions that a frame stands in, whose calls touch one subject for certain.
pub(super) fn read_spans<M: Memory>(
    python: &Python<M>,
    codes: &mut Codes,
    activation: &Activation,
    frame: usize,
) -> Vec<Spanning> {
    let (Some(scope), Some(plan)) = (Scope::of_frame(python, activation), activation.code.plan()) else { return Vec::new() };
    let site = activation.code.site(activation.offset);
    let inside = site.spans.iter().filter_map(|span| plan.spans.get(usize::from(*span)));
    inside.filter_map(|span| spanning(python, codes, &scope, activation, frame, span)).collect()
}

fn spanning<M: Memory>(
    python: &Python<M>,
    codes: &mut Codes,
    scope: &Scope<'_, M>,
    activation: &Activation,
    frame: usize,
    span: &Span,
) -> Option<Spanning> {
    let read = called(python, codes, scope, span.read)?;
    let write = called(python, codes, scope, span.write)?;
    if read.receiver != write.receiver || read.code.remote.at == write.code.remote.at {
        return None;
    }
    let reads = read.code.plan()?.watches.iter().filter(|watch| is_read(&watch.operation));
    for watch in reads {
        let plan = write.code.plan()?;
        // A function that looks again before it stores needs no promise from its caller.
        let is_guarded = |store: &Watch| plan.windows.iter().any(|window| window.write == store.offset);
        let stores = |other: &&Watch| other.path == watch.path && is_write(&other.operation) && !is_guarded(other);
        let Some(store) = plan.watches.iter().find(stores) else { continue };
        let (Some(first), Some(second)) = (touched(python, scope, &read, watch), touched(python, scope, &write, store)) else {
            continue;
        };
        if (first.object, &first.part) != (second.object, &second.part) {
            continue;
        }
        let locals = python.raw_slots(activation.frame.at, activation.locals()).ok()?;
        let place = |called: &Called, watch: &Watch| Touched {
            code: Rc::clone(&called.code),
            globals: called.globals,
            offset: watch.offset,
        };
        return Some(Spanning {
            frame,
            span: span.clone(),
            read: place(&read, watch),
            write: place(&write, store),
            subject: first,
            locals,
        });
    }
    None
}

/// The Python function that is called at `offset`.
fn called<M: Memory>(python: &Python<M>, codes: &mut Codes, scope: &Scope<'_, M>, offset: u32) -> Option<Called> {
    let at = scope.flow.instructions.at(offset)?;
    let call = Call::at(scope.flow, scope.code(), at).filter(|call| call.keywords == 0)?;
    let callee = scope.value(call.callee)?;
    let (mut function, mut receiver) = (callee, call.receiver.and_then(|(value, _)| scope.value(value)));
    if python.type_of(callee).ok()?.name == "method" {
        function = python.memory.pointer(callee.plus(python.layout.method.function)).ok()?;
        receiver = Some(python.memory.pointer(callee.plus(python.layout.method.receiver)).ok()?);
    } else if receiver.is_none() {
        // `x.f(…)` where the version keeps no receiver beside the method.
        receiver = scope.owner_of(call.callee);
    }
    if python.type_of(function).ok()?.name != "function" {
        return None;
    }
    let code = codes.get(python, python.memory.pointer(function.plus(python.layout.function.code)).ok()?)?;
    let globals = python.memory.pointer(function.plus(python.layout.function.globals)).ok()?;
    let is_module = receiver.is_some_and(|receiver| python.type_of(receiver).is_ok_and(|class| class.name == "module"));
    let receiver = receiver.filter(|_| !is_module);
    Some(Called { code, globals, receiver, at, bound: receiver.is_some() })
}

/// What a watched instruction of a called function will touch, or has touched.
fn touched<M: Memory>(python: &Python<M>, scope: &Scope<'_, M>, called: &Called, watch: &Watch) -> Option<Subject> {
    let inner = Scope::of_call(python, &called.code, called.globals, called.receiver)?;
    let at = inner.flow.instructions.at(watch.offset)?;
    let mut subject = subject::in_scope(python, inner, at, &watch.operation, |key| {
        let value = inner.value_at(at, key)?;
        let Definition::Slot(slot) = inner.flow.definition(value) else { return None };
        let argument = slot.checked_sub(u32::from(called.bound))?;
        let call = Call::at(scope.flow, scope.code(), called.at)?;
        scope.key(called.at, Place::Stack(call.argument_place(argument)?))
    })?;
    subject.label = subject.label.or_else(|| python.attribute_holding(called.receiver?, subject.object));
    // What lies there will be read by the function itself.
    (subject.slot, subject.anchor) = (None, None);
    let counts = matches!(subject.shape, Shape::Module | Shape::Instance | Shape::Class) || subject.part.is_some();
    counts.then_some(subject)
}

fn is_read(operation: &Operation) -> bool {
    match operation {
        Operation::GlobalRead { .. }
        | Operation::AttributeRead { .. }
        | Operation::ItemRead { .. }
        | Operation::Contains { .. } => true,
        Operation::MethodCall { method, .. } => method::methods(method).iter().any(|row| row.touch == Touch::Read),
        _ => false,
    }
}

fn is_write(operation: &Operation) -> bool {
    match operation {
        Operation::GlobalWrite { .. } | Operation::AttributeWrite { .. } | Operation::ItemWrite { .. } => true,
        Operation::MethodCall { method, .. } => {
            method::methods(method).iter().any(|row| matches!(row.touch, Touch::Update | Touch::Insert | Touch::Remove))
        }
        _ => false,
    }
}
