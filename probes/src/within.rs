//! Which instructions lie inside a `with` block (3.11+): those whose exceptions a context manager would be told of. Whose
//! block it is, and what the manager does, is not asked.

use crate::code::Code;
use crate::exception_table;
use crate::instruction::{Instructions, NOWHERE};
use crate::opcode::Op;
use crate::plan::PlanError;
use crate::version::Version;

/// Blocks that one instruction lies in are fewer.
const DEEPEST: usize = 32;

/// By code unit: is it inside?
///
/// # Errors
/// Code that cannot be decoded.
pub fn with_blocks(code: &Code, version: Version) -> Result<Vec<bool>, PlanError> {
    let instructions = Instructions::decode(&code.bytecode, version)?;
    let (handlers, covered) = exception_table::read(&code.exception_table, &instructions);
    let list = instructions.as_slice();
    let tells_manager = |target: u32| list.iter().skip(target as usize).take(3).any(|it| it.op == Op::WithExceptStart);
    let is_inside = |instruction: usize| {
        let mut at = instruction;
        for _ in 0..DEEPEST {
            let handler = covered.get(at).copied().filter(|&handler| handler != NOWHERE);
            let Some(handler) = handler.and_then(|handler| handlers.get(handler as usize)) else { return false };
            if tells_manager(handler.target) {
                return true;
            }
            // What a handler does not deal with goes on to the one around it.
            at = handler.target as usize;
        }
        true
    };
    let mut inside = vec![false; code.bytecode.len() / 2];
    for (index, instruction) in list.iter().enumerate() {
        if is_inside(index) {
            let units = instruction.offset as usize / 2..instruction.end as usize / 2;
            inside.get_mut(units).into_iter().flatten().for_each(|unit| *unit = true);
        }
    }
    Ok(inside)
}
