//! Basic blocks: which instructions run one after another, and where control goes from there without an exception.

use crate::effect::{branches, ends};
use crate::exception_table::Handler;
use crate::instruction::{Instruction, NOWHERE};
use crate::opcode::Op;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    pub first: u32,
    /// Behind the last instruction.
    pub end: u32,
    /// The blocks that follow: where control falls through to, and where it jumps to.
    pub next: u32,
    pub jump: u32,
}

impl Block {
    /// The blocks that control can go on to.
    pub fn successors(&self) -> impl Iterator<Item = usize> + use<> {
        [self.next, self.jump].into_iter().filter(|block| *block != NOWHERE).map(|block| block as usize)
    }
}

/// Cuts `list` into blocks. Returns them in the order of the code, and for each instruction the block it is in.
#[must_use]
pub fn cut(list: &[Instruction], handlers: &[Handler]) -> (Vec<Block>, Vec<u32>) {
    let mut leads = vec![false; list.len() + 1];
    let mut lead = |index: u32| {
        if let Some(leads) = leads.get_mut(index as usize) {
            *leads = true;
        }
    };
    lead(0);
    handlers.iter().for_each(|handler| lead(handler.target));
    for (index, instruction) in list.iter().enumerate() {
        if instruction.target != NOWHERE {
            lead(instruction.target);
        }
        if closes(instruction) {
            lead(index as u32 + 1);
        }
    }
    let mut blocks: Vec<Block> = Vec::new();
    let mut block_of = Vec::with_capacity(list.len());
    for (index, leads) in leads.iter().take(list.len()).enumerate() {
        if *leads {
            blocks.push(Block { first: index as u32, end: index as u32, next: NOWHERE, jump: NOWHERE });
        }
        if let Some(block) = blocks.last_mut() {
            block.end = index as u32 + 1;
        }
        block_of.push(blocks.len().saturating_sub(1) as u32);
    }
    let count = blocks.len() as u32;
    for (index, block) in blocks.iter_mut().enumerate() {
        let Some(last) = list.get(block.end as usize - 1) else { continue };
        if !ends(last.op) && index as u32 + 1 < count {
            block.next = index as u32 + 1;
        }
        if last.target != NOWHERE && !sets_up(last.op) {
            block.jump = block_of.get(last.target as usize).copied().unwrap_or(NOWHERE);
        }
    }
    (blocks, block_of)
}

/// Does the instruction announce a handler (3.8-3.10)?
#[must_use]
pub fn sets_up(op: Op) -> bool {
    matches!(op, Op::SetupFinally | Op::SetupWith | Op::SetupAsyncWith)
}

fn closes(instruction: &Instruction) -> bool {
    ends(instruction.op)
        || branches(instruction.op)
        || matches!(instruction.op, Op::ForIter | Op::Send | Op::CallFinally | Op::EndFinally)
}
