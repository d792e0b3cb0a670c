//! Loops that change what they walk, as far as the code shows: by the same value. What is shared needs no such look.

use super::{Source, called_name};
use crate::call::Call;
use crate::flow::Value;
use crate::ident::Idents;
use crate::instruction::NOWHERE;
use crate::method::{self, Touch};
use crate::opcode::Op;

/// Is something taken out of, or put anywhere but at the end of, this container in the body of the loop at `index`?
pub(super) fn changes_in_body(source: &Source<'_>, idents: &Idents, index: usize, container: Value) -> bool {
    let flow = source.flow;
    let Some(end) = flow.list().get(index).map(|next| next.target).filter(|end| *end != NOWHERE) else { return false };
    (index + 1..end as usize).filter(|at| flow.reached(*at)).any(|at| {
        let Some(instruction) = flow.list().get(at) else { return false };
        match instruction.op {
            Op::DeleteSubscr => flow.operand(at, 2) == container,
            _ => Call::at(flow, source.code, at).is_some_and(|call| {
                call.receiver.is_some_and(|(receiver, _)| receiver == container)
                    && called_name(source.code, idents, &call).is_some_and(changes)
            }),
        }
    })
}

/// A list that grows at its end is walked to its new end.
fn changes(method: &str) -> bool {
    let rows = method::methods(method);
    !matches!(method, "append" | "extend" | "sort" | "reverse")
        && rows.iter().any(|row| matches!(row.touch, Touch::Insert | Touch::Remove | Touch::Replace))
}
