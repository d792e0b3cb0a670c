//! Coroutines that are made and thrown away: a statement that calls an `async` function and does nothing with the result.
//! Seen in the code of coroutines that run; that the statement is reached follows from where the coroutine stands.

use std::collections::HashSet;

use racetrace_probes::call::{Call, calls};
use racetrace_probes::control::Control;
use racetrace_probes::flow::Flow;
use racetrace_probes::opcode::Op;

use crate::cpython::python::Python;
use crate::target::address::RemoteAddr;
use crate::target::memory::Memory;

use super::codes::{Codes, KnownCode};
use super::strand::Activation;
use super::value::Scope;

/// `CO_COROUTINE`.
const COROUTINE: u32 = 0x80;

/// A call whose coroutine is dropped at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dropped {
    pub frame: usize,
    pub call: u32,
    /// The coroutine's qualified name.
    pub name: String,
}

/// Calls that have been looked at, by code, position and call.
pub(super) type Asked = HashSet<(RemoteAddr, u32)>;

pub(super) fn read_dropped<M: Memory>(
    python: &Python<M>,
    codes: &mut Codes,
    asked: &mut Asked,
    frames: &[Activation],
    is_users: impl Fn(&KnownCode) -> bool,
) -> Vec<Dropped> {
    let mut found = Vec::new();
    for (frame, activation) in frames.iter().enumerate() {
        let code = &activation.code.remote;
        if code.code.flags & COROUTINE == 0 || !is_users(&activation.code) || !asked.insert((code.at, activation.offset)) {
            continue;
        }
        let Some(scope) = Scope::of_frame(python, activation) else { continue };
        for at in statements(scope.flow, activation.offset) {
            let name = Call::at(scope.flow, scope.code(), at).and_then(|call| coroutine(python, codes, &scope, &call));
            let offset = scope.flow.list().get(at).map(|instruction| instruction.offset);
            found.extend(name.zip(offset).map(|(name, call)| Dropped { frame, call, name }));
        }
    }
    found
}

/// Calls whose result is thrown away, which are executed whenever control comes to `offset`, before or after it.
fn statements(flow: &Flow, offset: u32) -> Vec<usize> {
    let Some(at) = flow.instructions.at(offset) else { return Vec::new() };
    let control = Control::of(flow);
    let here = control.ancestors(flow.block(at));
    let drops = |index: &usize| {
        let is = |index: usize, wanted: fn(Op) -> bool| flow.list().get(index).is_some_and(|found| wanted(found.op));
        is(*index, calls) && is(*index + 1, |op| op == Op::PopTop) && flow.reached(*index)
    };
    let decided = |index: &usize| {
        control.ancestors(flow.block(*index)).iter().all(|(side, around)| *around || here.iter().any(|(known, _)| known == side))
    };
    (0..flow.list().len())
        .filter(drops)
        .filter(decided)
        .filter(|index| flow.handler(*index).is_none() || flow.handler(at) == flow.handler(*index))
        .collect()
}

/// The name of the coroutine that a call makes.
fn coroutine<M: Memory>(python: &Python<M>, codes: &mut Codes, scope: &Scope<'_, M>, call: &Call) -> Option<String> {
    let mut callee = scope.value(call.callee)?;
    if python.type_of(callee).ok()?.name == "method" {
        callee = python.memory.pointer(callee.plus(python.layout.method.function)).ok()?;
    }
    if !python.type_of(callee).ok()?.is_builtin("function") {
        return None;
    }
    let code = codes.get(python, python.memory.pointer(callee.plus(python.layout.function.code)).ok()?)?;
    (code.remote.code.flags & COROUTINE != 0).then(|| code.remote.code.qualname.clone())
}
