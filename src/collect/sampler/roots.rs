//! What a thread was given when it was started, and its frames without those that start it. It says nothing of threads that
//! Python code did not start: the main thread has a past that its stack does not tell.

use racetrace_probes::flow::{Flow, Value};
use racetrace_probes::ident::cell_slot;
use racetrace_probes::opcode::Op;
use racetrace_probes::plan::{Operation, Place};

use crate::cpython::object::flags;
use crate::cpython::python::Python;
use crate::event::Shape;
use crate::target::address::RemoteAddr;
use crate::target::memory::Memory;

use super::strand::Activation;
use super::subject::Subject;
use super::value::Scope;

/// A thread's own frames, innermost first, and what it was given.
pub(super) fn of_thread<'a, M: Memory>(python: &Python<M>, frames: &'a [Activation]) -> Option<(&'a [Activation], Roots)> {
    let starting = frames.iter().rev().take_while(|frame| starts_thread(frame)).count();
    let own = frames.get(..frames.len() - starting)?;
    let outermost = own.last().filter(|_| starting > 0)?;
    Some((own, Roots::of(python, outermost)))
}

/// Frames of `threading` that begin a thread.
fn starts_thread(activation: &Activation) -> bool {
    let code = &activation.code.remote.code;
    matches!(code.name.as_str(), "_bootstrap" | "_bootstrap_inner" | "run") && code.filename.ends_with("/threading.py")
}

/// What the thread was given when it was started.
pub(super) struct Roots {
    given: Vec<RemoteAddr>,
}

impl Roots {
    pub fn of<M: Memory>(python: &Python<M>, outermost: &Activation) -> Roots {
        let code = &outermost.code.remote.code;
        let slots = python.slots(outermost.frame.at, outermost.locals()).unwrap_or_default();
        let parameters = code.argcount.saturating_add(code.kwonly) as usize;
        // Cells of enclosing functions come behind all others.
        let enclosing = slots.len().saturating_sub(code.nfrees as usize);
        let site = outermost.code.site(outermost.offset);
        // A parameter may have been given another value since.
        let is_first = |slot: usize| {
            u32::try_from(slot).is_ok_and(|first| site.values.get(slot).is_none_or(|value| *value == Flow::slot_value(first)))
        };
        let given = slots.iter().enumerate().filter(|(slot, _)| (*slot < parameters && is_first(*slot)) || *slot >= enclosing);
        Roots { given: given.map(|(_, object)| *object).filter(|object| !object.is_null()).collect() }
    }

    /// Did the subject's object exist when the thread was started: given to it, or known to the whole program?
    pub fn were_there<M: Memory>(&self, python: &Python<M>, frame: &Activation, subject: &Subject) -> bool {
        let object = subject.object;
        let content = |cell: RemoteAddr| python.memory.pointer(cell.plus(python.layout.object.header)).ok();
        let is_cell = |at: RemoteAddr| python.type_of(at).is_ok_and(|class| class.is_builtin("cell"));
        matches!(subject.shape, Shape::Module)
            || python.type_of(object).is_ok_and(|class| class.has(flags::TYPE))
            || self.given.iter().any(|given| {
                *given == object
                    || (is_cell(*given) && content(*given) == Some(object))
                    || python.attribute_holding(*given, object).is_some()
            })
            || python.global_holding(frame.frame.globals, object).is_some()
    }

    /// Was the subject there for all before the frame's code touched it: a module's or class's, given to the thread, or looked
    /// up in such a one by the very code that `operation` at `at` is of?
    pub fn were_given<M: Memory>(&self, scope: &Scope<'_, M>, at: usize, operation: &Operation, subject: &Subject) -> bool {
        matches!(subject.shape, Shape::Module)
            || self.is_shared(scope.python, subject.object)
            || owner(operation)
                .and_then(|place| scope.value_at(at, place))
                .is_some_and(|owner| self.looks_up(scope, owner, DEEPEST))
    }

    /// Is it a class, or something that the thread was given?
    fn is_shared<M: Memory>(&self, python: &Python<M>, object: RemoteAddr) -> bool {
        self.given.contains(&object) || python.type_of(object).is_ok_and(|class| class.has(flags::TYPE))
    }

    /// Does the code read the value from where all can find it?
    fn looks_up<M: Memory>(&self, scope: &Scope<'_, M>, value: Value, further: usize) -> bool {
        let Some(further) = further.checked_sub(1) else { return false };
        let Some((at, maker)) = scope.flow.maker(value) else {
            return scope.value(value).is_some_and(|object| self.is_shared(scope.python, object));
        };
        match maker.op {
            Op::LoadGlobal | Op::LoadName => true,
            Op::LoadAttr | Op::LoadMethod => self.looks_up(scope, scope.flow.operand(at, 1), further),
            Op::LoadDeref => {
                let cell = scope.slot(cell_slot(scope.code(), &maker, scope.flow.minor));
                cell.is_some_and(|cell| self.given.contains(&cell))
            }
            _ => false,
        }
    }
}

/// Attributes of attributes are followed this far.
const DEEPEST: usize = 4;

/// The object or container that an access is to.
fn owner(operation: &Operation) -> Option<Place> {
    match operation {
        Operation::AttributeRead { object, .. } => Some(*object),
        Operation::ItemRead { container, .. }
        | Operation::Contains { container, .. }
        | Operation::Truth { container }
        | Operation::InPlace { container } => Some(*container),
        Operation::MethodCall { receiver, .. } => Some(*receiver),
        _ => None,
    }
}
