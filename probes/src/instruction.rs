//! Bytecode as a list of instructions with resolved jumps. It does not follow them.

use crate::opcode::{self, Op};
use crate::plan::PlanError;
use crate::version::Version;

/// No instruction: the target of one that does not jump.
pub const NOWHERE: u32 = u32::MAX;

/// More than this is refused: no function written by hand comes near, and work inside the target stays bounded.
const MOST_BYTES: usize = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// Byte offset of the instruction proper, after its EXTENDED_ARGs.
    pub offset: u32,
    /// Byte offset behind it and its inline cache.
    pub end: u32,
    pub op: Op,
    pub arg: u32,
    /// Index of the instruction that it can jump to (for SETUP_FINALLY and its kin: of the handler), or [`NOWHERE`].
    pub target: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Instructions {
    list: Vec<Instruction>,
    /// By code unit: the index of the instruction it belongs to; cache units belong to none.
    by_unit: Vec<u32>,
}

impl Instructions {
    /// # Errors
    /// Versions that are not known, opcodes that the version does not have, jumps to no instruction, too much code.
    pub fn decode(bytecode: &[u8], version: Version) -> Result<Self, PlanError> {
        let table = opcode::table(version.minor).ok_or(PlanError::UnsupportedVersion(version))?;
        if bytecode.len() > MOST_BYTES {
            return Err(PlanError::TooLarge);
        }
        let mut decoded =
            Instructions { list: Vec::with_capacity(bytecode.len() / 4 + 1), by_unit: vec![NOWHERE; bytecode.len() / 2] };
        let mut position = 0_usize;
        let mut arg = 0_u32;
        while let Some(&[number, low]) = bytecode.get(position..position + 2) {
            let offset = position as u32;
            let (op, caches) = table.get(number).ok_or(PlanError::Malformed { offset })?;
            arg = (arg << 8) | u32::from(low);
            if let Some(unit) = decoded.by_unit.get_mut(position / 2) {
                *unit = decoded.list.len() as u32;
            }
            position += 2;
            if op == Op::ExtendedArg {
                continue;
            }
            position += 2 * usize::from(caches);
            decoded.list.push(Instruction { offset, end: position as u32, op, arg, target: NOWHERE });
            arg = 0;
        }
        decoded.resolve(version.minor)?;
        Ok(decoded)
    }

    #[must_use]
    pub fn as_slice(&self) -> &[Instruction] {
        &self.list
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The instruction that the code unit at `offset` belongs to.
    #[must_use]
    pub fn at(&self, offset: u32) -> Option<usize> {
        let index = *self.by_unit.get(offset as usize / 2)?;
        (index != NOWHERE && (index as usize) < self.list.len()).then_some(index as usize)
    }

    fn resolve(&mut self, minor: u8) -> Result<(), PlanError> {
        for index in 0..self.list.len() {
            let Some(&instruction) = self.list.get(index) else { break };
            let Some(jump) = jump(instruction.op, minor) else { continue };
            let malformed = PlanError::Malformed { offset: instruction.offset };
            let unit: u32 = if minor >= 10 { 2 } else { 1 };
            let distance = instruction.arg.checked_mul(unit).ok_or(malformed.clone())?;
            let target = match jump {
                Jump::Forward => instruction.end.checked_add(distance),
                Jump::Backward => instruction.end.checked_sub(distance),
                Jump::Absolute => Some(distance),
            };
            let target = target.and_then(|offset| self.at(offset)).ok_or(malformed)?;
            if let Some(instruction) = self.list.get_mut(index) {
                instruction.target = target as u32;
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum Jump {
    Forward,
    Backward,
    Absolute,
}

fn jump(op: Op, minor: u8) -> Option<Jump> {
    let conditional = if minor >= 12 { Jump::Forward } else { Jump::Absolute };
    Some(match op {
        Op::JumpForward | Op::ForIter | Op::Send | Op::SetupFinally | Op::SetupWith | Op::SetupAsyncWith | Op::CallFinally => {
            Jump::Forward
        }
        Op::PopJumpForwardIfFalse
        | Op::PopJumpForwardIfTrue
        | Op::PopJumpForwardIfNone
        | Op::PopJumpForwardIfNotNone
        | Op::PopJumpIfNone
        | Op::PopJumpIfNotNone => Jump::Forward,
        Op::JumpBackward
        | Op::JumpBackwardNoInterrupt
        | Op::PopJumpBackwardIfFalse
        | Op::PopJumpBackwardIfTrue
        | Op::PopJumpBackwardIfNone
        | Op::PopJumpBackwardIfNotNone => Jump::Backward,
        Op::JumpAbsolute | Op::JumpIfNotExcMatch => Jump::Absolute,
        Op::PopJumpIfFalse | Op::PopJumpIfTrue => conditional,
        Op::JumpIfFalseOrPop | Op::JumpIfTrueOrPop => {
            if minor >= 11 {
                Jump::Forward
            } else {
                Jump::Absolute
            }
        }
        _ => return None,
    })
}
