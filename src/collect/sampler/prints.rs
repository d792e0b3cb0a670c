//! Records that `print` writes to a file: one argument after the other, each by a write of its own. A strand that is in the
//! `__str__` of an argument has written those before it and not yet what follows. It does not look at what they write.

use racetrace_probes::call::Call;
use racetrace_probes::opcode::Op;

use crate::cpython::python::Python;
use crate::target::memory::Memory;

use super::files::{Writing, opened};
use super::strand::Activation;
use super::value::Scope;

/// What is called to turn an argument into text.
const TEXTS: &[&str] = &["__str__", "__repr__"];

/// The record that the frame with index `frame` is in the middle of printing.
pub(super) fn read_printing<M: Memory>(python: &Python<M>, frames: &[Activation], frame: usize) -> Option<Writing> {
    let (inner, outer) = (frames.get(frame.checked_sub(1)?)?, frames.get(frame)?);
    if !TEXTS.contains(&inner.code.remote.code.name.as_str()) || !outer.code.remote.code.names.iter().any(|name| name == "print")
    {
        return None;
    }
    let scope = Scope::of_frame(python, outer)?;
    let at = scope.flow.instructions.at(outer.offset)?;
    // A specialised PRECALL (3.11) makes the call itself.
    let at = at + usize::from(scope.flow.list().get(at)?.op == Op::Precall);
    let call = Call::at(scope.flow, scope.code(), at)?;
    let (_, callee) = scope.flow.maker(call.callee)?;
    // `print` is the builtin where the module has none of its own.
    let is_print = matches!(callee.op, Op::LoadGlobal | Op::LoadName) && scope.name_of(&callee) == Some("print");
    if !is_print || scope.global("print").is_some() {
        return None;
    }
    let turned = *python.slots(inner.frame.at, 1).ok()?.first().filter(|object| !object.is_null())?;
    // What a call was given lies on the value stack until it returns.
    let depth = outer.code.site(outer.offset).depth;
    let given = |index: u32| {
        let slot = depth.checked_sub(call.argument_place(index)?)?;
        python.slots_at(outer.frame.at, slot, 1).ok()?.first().copied()
    };
    if !(1..call.positional()).any(|index| given(index) == Some(turned)) || given(0) == Some(turned) {
        return None;
    }
    let file = scope.value(call.keyword(scope.flow, scope.code(), "file")?)?;
    let (fd, name) = opened(python, file)?;
    let locals = python.raw_slots(outer.frame.at, outer.locals()).ok()?;
    Some(Writing { frame, first: Some(outer.offset), write: outer.offset, file, name, fd, inode: None, locals })
}
