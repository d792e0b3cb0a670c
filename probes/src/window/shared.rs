//! Results that several may have got: of one task or future that all of them waited for. Storing one again changes nothing.

use super::Facts;
use crate::access::called_name;
use crate::call::{Call, calls};
use crate::flow::{Definition, Value};
use crate::opcode::Op;
use crate::plan::{Operation, Shared};

/// Functions that wait for what they are given, or stand for it.
const PASSED_ON: &[&str] = &["shield", "wait_for", "wrap_future"];

/// Is it what an await, or a `result()`, gave of something that was not made on the spot?
pub(super) fn of(facts: &Facts<'_>, value: Value) -> Shared {
    let (flow, list) = (facts.flow, facts.flow.list());
    let Some((at, maker)) = flow.maker(value) else { return Shared::No };
    let source = match maker.op {
        Op::EndSend | Op::Send | Op::YieldFrom | Op::YieldValue => {
            let begin = list.iter().take(at).rposition(|instruction| instruction.op == Op::GetAwaitable);
            begin.map(|begin| flow.operand(begin, 1))
        }
        op if calls(op) => Call::at(flow, facts.code, at)
            .filter(|call| called_name(facts.code, facts.idents, call) == Some("result"))
            .and_then(|call| call.receiver.map(|(receiver, _)| receiver)),
        _ => None,
    };
    let Some(source) = source.map(|source| passed_on(facts, source)) else { return Shared::No };
    if is_found(facts, source) {
        Shared::Found
    } else if flow.maker(source).is_some_and(|(_, maker)| calls(maker.op)) {
        Shared::No
    } else {
        Shared::Perhaps
    }
}

/// Behind `asyncio.shield(future)` is the future.
fn passed_on(facts: &Facts<'_>, source: Value) -> Value {
    let maker = facts.flow.maker(source).filter(|(_, maker)| calls(maker.op));
    let call = maker.and_then(|(at, _)| Call::at(facts.flow, facts.code, at));
    let passes = |call: &Call| called_name(facts.code, facts.idents, call).is_some_and(|name| PASSED_ON.contains(&name));
    call.filter(passes).and_then(|call| call.argument(facts.flow, 0)).unwrap_or(source)
}

/// On some way it comes from a container, where others find the same.
fn is_found(facts: &Facts<'_>, value: Value) -> bool {
    let found = |value: Value| {
        let Some((at, _)) = facts.flow.maker(value) else { return false };
        facts.accesses.iter().any(|access| {
            let looks_up = match access.operation {
                Operation::ItemRead { .. } => true,
                Operation::MethodCall { method, .. } => matches!(method, "get" | "setdefault"),
                _ => false,
            };
            looks_up && access.instruction as usize == at
        })
    };
    match facts.flow.definition(value) {
        Definition::Phi(phi) => {
            facts.flow.phis.get(phi as usize).is_some_and(|phi| phi.operands.iter().any(|operand| found(*operand)))
        }
        _ => found(value),
    }
}
