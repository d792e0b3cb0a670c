//! What a value is, as far as access needs to know: a number, a container made on the spot, a function of some name.

use crate::call::Call;
use crate::code::{Code, Const};
use crate::flow::{Definition, Flow, Value};
use crate::ident::{self, Idents, Thing, name_text};
use crate::method;
use crate::opcode::Op;

/// A number or a text, by its constant.
#[must_use]
pub fn is_number(code: &Code, idents: &Idents, value: Value) -> bool {
    match idents.thing(idents.of(value)) {
        Some(Thing::Small(_)) => true,
        _ => idents.constant(code, value).is_some_and(|constant| !matches!(constant, Const::Tuple(_))),
    }
}

/// The bare name of the function or method that is called, as far as the source tells.
#[must_use]
pub fn called_name<'a>(code: &'a Code, idents: &Idents, call: &Call) -> Option<&'a str> {
    match idents.thing(idents.of(call.callee))? {
        Thing::Global(name) | Thing::Attribute(_, name) => name_text(code, name),
        Thing::Common(index) => match ident::COMMON.get(index as usize)? {
            ident::Common::Builtin(name) => Some(name),
            ident::Common::Constant(_) => None,
        },
        _ => None,
    }
}

/// Does the instruction that makes `value` make a new container (or a range, a generator)?
#[must_use]
pub fn makes_own(code: &Code, flow: &Flow, idents: &Idents, value: Value) -> bool {
    let Definition::Output { instruction, .. } = flow.definition(value) else { return false };
    let Some(maker) = flow.list().get(instruction as usize) else { return false };
    if builds(maker.op) {
        return true;
    }
    let Some(call) = Call::at(flow, code, instruction as usize) else { return false };
    if flow.maker(call.callee).is_some_and(|(_, maker)| matches!(maker.op, Op::MakeFunction | Op::SetFunctionAttribute)) {
        return true;
    }
    let Some(name) = called_name(code, idents, &call) else { return false };
    let method = call.receiver.is_some();
    match name {
        "range" | "defaultdict" | "deque" | "OrderedDict" | "Counter" => true,
        "copy" => method && call.arguments == 0,
        _ => !method && method::function_named(name).is_some_and(|function| function.fresh),
    }
}

fn builds(op: Op) -> bool {
    matches!(
        op,
        Op::BuildList
            | Op::BuildMap
            | Op::BuildSet
            | Op::BuildConstKeyMap
            | Op::ListAppend
            | Op::SetAdd
            | Op::MapAdd
            | Op::ListExtend
            | Op::SetUpdate
            | Op::DictUpdate
            | Op::DictMerge
            | Op::BuildListUnpack
            | Op::BuildMapUnpack
            | Op::BuildSetUnpack
    )
}
