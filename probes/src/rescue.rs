//! Whether an `except` clause (or `suppress`) of its own copes with what an act may raise: then the check before it is only a
//! shortcut. What an act raises is for the caller to say.

use crate::code::Code;
use crate::flow::Flow;
use crate::ident::{name_index, name_text};
use crate::instruction::Instruction;
use crate::opcode::Op;

/// Names of exceptions that say that something is not there (or, of a full queue, that there is no room).
pub const ABOUT_ABSENCE: &[&str] = &[
    "KeyError",
    "IndexError",
    "LookupError",
    "ValueError",
    "Empty",
    "QueueEmpty",
    "Full",
    "QueueFull",
    "Exception",
    "BaseException",
];

/// Is the instruction at `used` in a `try` (or `suppress`) of its own, for one of these exceptions, that the one at `check`
/// is not in? A `try` around both says that the check was thought to be enough. Both are indexes into the flow's list.
#[must_use]
pub fn copes(code: &Code, flow: &Flow, check: usize, used: usize, exceptions: &[&str]) -> bool {
    let around_used = handlers(flow, used);
    if around_used.is_empty() {
        return false;
    }
    let around_check = handlers(flow, check);
    around_used
        .iter()
        .filter(|handler| !around_check.contains(handler))
        .any(|handler| catches(code, flow, *handler, exceptions) || suppresses(code, flow, *handler, check))
}

/// Handlers around an instruction, innermost first: a handler that does not cope leaves it to the one around it.
fn handlers(flow: &Flow, instruction: usize) -> Vec<usize> {
    let mut found = Vec::new();
    let mut at = instruction;
    while let Some(handler) = flow.handler(at).map(|handler| handler.target as usize) {
        if found.contains(&handler) || found.len() >= 16 {
            break;
        }
        found.push(handler);
        at = handler;
    }
    found
}

/// Instructions from the beginning of a handler to where it has found out whether the exception is its own.
const CLAUSE: usize = 16;

/// Is the handler, an index into the flow's list, a clause for one of these exceptions, or for all?
#[must_use]
pub fn catches(code: &Code, flow: &Flow, handler: usize, exceptions: &[&str]) -> bool {
    let clause = flow.list().iter().skip(handler).take(CLAUSE);
    let mut names = Vec::new();
    for instruction in clause {
        match instruction.op {
            Op::CheckExcMatch | Op::JumpIfNotExcMatch => return names.iter().any(|name| exceptions.contains(name)),
            Op::CompareOp if flow.minor == 8 && instruction.arg == 10 => {
                return names.iter().any(|name| exceptions.contains(name));
            }
            Op::WithExceptStart | Op::Reraise => return false,
            // `except:` drops the exception at once.
            Op::PopTop if names.is_empty() => return true,
            _ => names.extend(loaded(code, flow, instruction)),
        }
    }
    false
}

/// The handler is the end of a `with` block, which `suppress` opened somewhere behind the check.
fn suppresses(code: &Code, flow: &Flow, handler: usize, check: usize) -> bool {
    let ends_with = flow.list().iter().skip(handler).take(4).any(|instruction| instruction.op == Op::WithExceptStart);
    ends_with
        && flow.list().iter().take(handler).skip(check).any(|instruction| loaded(code, flow, instruction) == Some("suppress"))
}

fn loaded<'a>(code: &'a Code, flow: &Flow, instruction: &Instruction) -> Option<&'a str> {
    match instruction.op {
        Op::LoadGlobal | Op::LoadName | Op::LoadAttr => name_text(code, name_index(instruction, flow.minor)),
        _ => None,
    }
}
