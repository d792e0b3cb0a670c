//! Questions about code that only some detectors ask, answered from the bytecode when they are asked: what is called at an
//! instruction, and whether an `except` clause copes with what it may raise. It knows no events.

use racetrace_probes::access::called_name;
use racetrace_probes::call::Call;
use racetrace_probes::code::Code;
use racetrace_probes::flow::Flow;
use racetrace_probes::ident::{Idents, name_index, name_text};
use racetrace_probes::instruction::Instruction;
use racetrace_probes::opcode::Op;
use racetrace_probes::version::Version;

/// A call as the source has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called {
    /// The bare name of the function or method.
    pub name: String,
    pub positional: u32,
}

pub fn called(code: &Code, version: Version, offset: u32) -> Option<Called> {
    let flow = Flow::new(code, version).ok()?;
    let index = index_at(&flow, offset)?;
    let call = Call::at(&flow, code, index)?;
    let idents = Idents::new(code, &flow);
    Some(Called { name: called_name(code, &idents, &call)?.to_owned(), positional: call.positional() })
}

/// Names of exceptions that say that a path is not as it was thought to be.
const ABOUT_PATHS: &[&str] = &[
    "OSError",
    "IOError",
    "EnvironmentError",
    "FileNotFoundError",
    "FileExistsError",
    "PermissionError",
    "NotADirectoryError",
    "IsADirectoryError",
    "Exception",
    "BaseException",
];

/// Is the instruction at `used` in a `try` (or `suppress`) of its own, for errors about paths, that the one at `check` is
/// not in? A `try` around both says that the check was thought to be enough.
pub fn copes(code: &Code, version: Version, check: u32, used: u32) -> bool {
    let Ok(flow) = Flow::new(code, version) else { return false };
    let (Some(check), Some(used)) = (index_at(&flow, check), index_at(&flow, used)) else { return false };
    let around_check = handlers(&flow, check);
    handlers(&flow, used)
        .iter()
        .filter(|handler| !around_check.contains(handler))
        .any(|handler| catches(code, &flow, *handler) || suppresses(code, &flow, *handler, check))
}

fn index_at(flow: &Flow, offset: u32) -> Option<usize> {
    flow.list().binary_search_by_key(&offset, |instruction| instruction.offset).ok()
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

fn catches(code: &Code, flow: &Flow, handler: usize) -> bool {
    let clause = flow.list().iter().skip(handler).take(CLAUSE);
    let mut names = Vec::new();
    for instruction in clause {
        match instruction.op {
            Op::CheckExcMatch | Op::JumpIfNotExcMatch => return names.iter().any(|name| ABOUT_PATHS.contains(name)),
            Op::CompareOp if flow.minor == 8 && instruction.arg == 10 => {
                return names.iter().any(|name| ABOUT_PATHS.contains(name));
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
