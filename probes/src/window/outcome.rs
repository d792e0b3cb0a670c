//! What the outcome of a branch says: whether it counts as a check of what is written behind it. Which branches lead to a
//! write is in [`crate::control`].

use super::{Finder, MOST_BLOCKS};
use crate::access::{Access, Space};
use crate::block::Block;
use crate::code::Const;
use crate::control::Side;
use crate::depend::{self, Source};
use crate::flow::Value;
use crate::ident::{Ident, NOTHING, Thing};
use crate::instruction::NOWHERE;
use crate::method::Touch;
use crate::opcode::Op;
use crate::plan::Operation;

impl Finder<'_, '_, '_> {
    /// Is the other way of the branch the failure of an `assert`?
    pub(super) fn asserts(&self, side: Side) -> bool {
        let Some(branch) = self.facts.flow.blocks.get(side.block as usize) else { return false };
        let other = if side.jump { branch.next } else { branch.jump };
        let first = self.facts.flow.blocks.get(other as usize).map_or(0, |block| block.first as usize);
        self.facts.flow.list().get(first..).unwrap_or(&[]).iter().take(2).any(|instruction| match instruction.op {
            Op::LoadAssertionError => true,
            Op::LoadCommonConstant => instruction.arg == 0,
            Op::LoadGlobal => {
                let name = crate::ident::name_index(instruction, self.facts.flow.minor);
                self.facts.flow.minor == 8 && crate::ident::name_text(self.facts.code, name) == Some("AssertionError")
            }
            _ => false,
        })
    }

    /// The compiler tests a loop's condition before the loop and again at its end: is `side` the latter?
    pub(super) fn has_twin(&self, ancestors: &[(Side, bool)], side: Side) -> bool {
        let own = self.test_of(side.block);
        own != NOTHING && ancestors.iter().any(|(other, around)| !around && self.test_of(other.block) == own)
    }

    /// What the branch at the end of a block tests.
    fn test_of(&self, block: u32) -> Ident {
        self.facts.flow.condition(block).map_or(NOTHING, |value| self.facts.idents.of(value))
    }

    /// Does the other way of the branch lead to the block as well, without the same test again?
    pub(super) fn leads_there_anyway(&self, side: Side, to: u32) -> bool {
        let flow = self.facts.flow;
        let test = self.test_of(side.block);
        let is_same = |block: u32| block == side.block || (test != NOTHING && self.test_of(block) == test);
        let Some(branch) = flow.blocks.get(side.block as usize) else { return false };
        let mut work = vec![if side.jump { branch.next } else { branch.jump }];
        let mut at = 0;
        while let Some(&block) = work.get(at) {
            at += 1;
            if block == to {
                return true;
            }
            if is_same(block) || at > MOST_BLOCKS {
                continue;
            }
            for next in flow.blocks.get(block as usize).into_iter().flat_map(Block::successors).map(|next| next as u32) {
                if !work.contains(&next) {
                    work.push(next);
                }
            }
        }
        false
    }

    /// Does this check of `read`, with this outcome, make `write` depend on what others do?
    pub(super) fn counts(&self, read: &Access, source: Source, side: Side, write: &Access) -> bool {
        if source.element_of != NOWHERE && (write.key != NOTHING || self.in_loop(source.element_of, write.instruction)) {
            // The elements are checked while the loop goes on: that is a matter of iteration.
            return false;
        }
        if matches!(read.operation, Operation::IterBegin { .. })
            && self.loop_over(read).is_some_and(|at| self.in_loop(at, write.instruction))
        {
            return false;
        }
        let tested = self.tested(side);
        if let Operation::Truth { .. } = read.operation
            && let (Some((value, truth)), Some(container)) = (tested, read.container)
            && value == container
        {
            return match write.touch {
                // Not empty, so take away; empty, so add. The rest is no more than a test for None.
                Touch::Remove => true,
                Touch::Replace => false,
                _ => !truth,
            };
        }
        if read.space == Space::Variable
            && let (Some((value, truth)), Some(stored)) = (tested, self.stored_truth(write))
            && self.facts.flow.output(read.instruction as usize, 0) == value
        {
            // A flag that is stored as it was found, or that ends the loop that polls it.
            return stored != truth && !self.polls(side, write.instruction);
        }
        true
    }

    fn in_loop(&self, for_iter: u32, instruction: u32) -> bool {
        let exit = self.facts.flow.list().get(for_iter as usize).map_or(0, |for_iter| for_iter.target);
        (for_iter..exit).contains(&instruction)
    }

    /// The loop that an iteration begins.
    fn loop_over(&self, read: &Access) -> Option<u32> {
        let iterator = self.facts.flow.output(read.instruction as usize, 0);
        let list = self.facts.flow.list();
        let later = read.instruction as usize..list.len().min(read.instruction as usize + 8);
        later
            .clone()
            .find(|at| {
                list.get(*at).is_some_and(|found| found.op == Op::ForIter) && self.facts.flow.uses(*at).contains(&iterator)
            })
            .map(|at| at as u32)
    }

    /// Which value a branch tests, and whether it is true on that side (`None` counts as false).
    pub(super) fn tested(&self, side: Side) -> Option<(Value, bool)> {
        let flow = self.facts.flow;
        let last = flow.blocks.get(side.block as usize)?.end.checked_sub(1)? as usize;
        let jumps_if = match flow.list().get(last)?.op {
            Op::PopJumpIfFalse | Op::PopJumpForwardIfFalse | Op::PopJumpBackwardIfFalse | Op::JumpIfFalseOrPop => false,
            Op::PopJumpIfTrue | Op::PopJumpForwardIfTrue | Op::PopJumpBackwardIfTrue | Op::JumpIfTrueOrPop => true,
            Op::PopJumpIfNone | Op::PopJumpForwardIfNone | Op::PopJumpBackwardIfNone => {
                return side.jump.then(|| (flow.operand(last, 1), false));
            }
            Op::PopJumpIfNotNone | Op::PopJumpForwardIfNotNone | Op::PopJumpBackwardIfNotNone => {
                return (!side.jump).then(|| (flow.operand(last, 1), false));
            }
            _ => return None,
        };
        let (value, negated) = flow.behind_truth(flow.operand(last, 1));
        let truth = (jumps_if == side.jump) != negated;
        if let Some((at, maker)) = flow.maker(value)
            && maker.op == Op::IsOp
            && self.is_none(flow.operand(at, 1))
        {
            let is_none = truth == (maker.arg == 0);
            return is_none.then(|| (flow.operand(at, 2), false));
        }
        Some((value, truth))
    }

    fn is_none(&self, value: Value) -> bool {
        self.constant(value) == Some(&Const::None)
    }

    fn constant(&self, value: Value) -> Option<&Const> {
        self.facts.idents.constant(self.facts.code, value)
    }

    /// The truth of the constant that a write stores.
    pub(super) fn stored_truth(&self, write: &Access) -> Option<bool> {
        let value = *depend::stored(self.facts.flow, write).first()?;
        if let Some(Thing::Small(number)) = self.facts.idents.thing(self.facts.idents.of(value)) {
            return Some(number != 0);
        }
        match self.constant(value)? {
            Const::None => Some(false),
            Const::Bool(value) => Some(*value),
            Const::Int(value) => Some(*value != 0),
            Const::Text(value) => Some(!value.is_empty()),
            _ => None,
        }
    }

    /// Is the branch the test of a loop that the write is in?
    fn polls(&self, side: Side, write: u32) -> bool {
        let Some(branch) = self.facts.flow.blocks.get(side.block as usize) else { return false };
        let other = if side.jump { branch.next } else { branch.jump };
        let from = self.facts.flow.block(write as usize);
        let same_test = |block: u32| self.tests_the_same(side.block, block);
        self.reaches(from, NOWHERE, &same_test) && !self.reaches(other, NOWHERE, &same_test)
    }

    /// Do both blocks end in a branch on the same value? The compiler may put a loop's test in two places.
    pub(super) fn tests_the_same(&self, one: u32, other: u32) -> bool {
        let tested = |block| self.facts.flow.condition(block).map(|value| self.facts.idents.of(value));
        one == other || tested(other).is_some_and(|ident| ident != NOTHING && Some(ident) == tested(one))
    }

    /// Is there a way from one block to such another, around `avoided`?
    pub(super) fn reaches(&self, from: u32, avoided: u32, goal: &dyn Fn(u32) -> bool) -> bool {
        self.onwards(from, move |_, next| next != avoided).any(goal)
    }

    /// All blocks from there on, over the steps from one to another that `goes` allows.
    pub(super) fn onwards(&self, from: u32, goes: impl Fn(u32, u32) -> bool) -> impl Iterator<Item = u32> {
        let mut seen = vec![from];
        let mut at = 0;
        std::iter::from_fn(move || {
            let block = *seen.get(at)?;
            at += 1;
            for next in self.facts.flow.blocks.get(block as usize).into_iter().flat_map(Block::successors) {
                let next = next as u32;
                if seen.len() < MOST_BLOCKS && goes(block, next) && !seen.contains(&next) {
                    seen.push(next);
                }
            }
            Some(block)
        })
    }
}
