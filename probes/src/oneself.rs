//! Comparisons with who runs (`if self.owner == threading.get_ident()`): where only the strand itself ever enters itself,
//! nobody else can make them true or false. Whether others are entered too is not asked.

use crate::access::called_name;
use crate::call::Call;
use crate::code::Code;
use crate::flow::{Flow, Value};
use crate::ident::{Idents, name_index, name_text};
use crate::opcode::Op;

/// Functions of `threading`, `asyncio` and `os` (and what others call theirs) that say who runs.
const SAYS_WHO: &[&str] = &["current_task", "current_thread", "get_ident", "get_native_id", "getpid"];
/// What a thread is known by, from its object.
const KNOWN_BY: &[&str] = &["ident", "native_id"];

/// Does the branch at the end of `block` test whether something is the running strand?
#[must_use]
pub fn is_asked(code: &Code, flow: &Flow, idents: &Idents, block: u32) -> bool {
    let tested = flow.condition(block).map(|condition| flow.behind_truth(condition).0);
    let Some((at, maker)) = tested.and_then(|value| flow.maker(value)) else { return false };
    let is_equality = match maker.op {
        Op::IsOp => true,
        // ==, !=, and in 3.8 `is` and `is not`.
        Op::CompareOp => matches!(maker.arg >> flow.comparison_shift(), 2 | 3 | 8 | 9),
        _ => false,
    };
    is_equality && [1, 2].into_iter().any(|side| is_oneself(code, flow, idents, flow.operand(at, side)))
}

fn is_oneself(code: &Code, flow: &Flow, idents: &Idents, value: Value) -> bool {
    let Some((at, maker)) = flow.maker(value) else { return false };
    if maker.op == Op::LoadAttr {
        let name = name_text(code, name_index(&maker, flow.minor));
        return name.is_some_and(|name| KNOWN_BY.contains(&name)) && is_oneself(code, flow, idents, flow.operand(at, 1));
    }
    let Some(call) = Call::at(flow, code, at).filter(|call| call.arguments == 0) else { return false };
    called_name(code, idents, &call).is_some_and(|name| SAYS_WHO.contains(&name.trim_start_matches('_')))
}
