//! What one instruction does to the state. Joins and handlers are elsewhere.

use super::run::growth;
use super::stack::Stack;
use super::{Flow, NULL, State, UNKNOWN};
use crate::effect::effect;
use crate::instruction::{Instruction, NOWHERE};
use crate::opcode::Op;

impl Flow {
    /// Changes `state` as the instruction does when control falls through. Says whether it can.
    pub(super) fn step(&self, index: usize, state: &mut State) -> Result<bool, ()> {
        let Some(&Instruction { op, arg, .. }) = self.list().get(index) else { return Err(()) };
        let mut stack = Stack { slots: self.slots as usize, values: &mut state.values };
        match op {
            Op::LoadFast | Op::LoadFastCheck | Op::LoadFastBorrow => stack.load(arg)?,
            Op::LoadFastLoadFast | Op::LoadFastBorrowLoadFastBorrow => {
                stack.load(arg >> 4)?;
                stack.load(arg & 15)?;
            }
            Op::LoadFastAndClear => {
                stack.load(arg)?;
                *stack.local(arg)? = NULL;
            }
            Op::StoreFast => stack.store(arg)?,
            Op::StoreFastLoadFast => {
                stack.store(arg >> 4)?;
                stack.load(arg & 15)?;
            }
            Op::StoreFastStoreFast => {
                stack.store(arg >> 4)?;
                stack.store(arg & 15)?;
            }
            Op::DeleteFast => *stack.local(arg)? = NULL,
            Op::MakeCell => *stack.local(arg)? = UNKNOWN,
            Op::PushNull => stack.push(NULL),
            Op::Copy => stack.copy(arg)?,
            Op::Swap => stack.swap(arg)?,
            Op::DupTop => stack.copy(1)?,
            Op::DupTopTwo => {
                stack.copy(2)?;
                stack.copy(2)?;
            }
            Op::RotTwo => stack.sink(2)?,
            Op::RotThree => stack.sink(3)?,
            Op::RotFour => stack.sink(4)?,
            Op::RotN => stack.sink(arg)?,
            Op::LoadGlobal if self.minor >= 11 && arg & 1 == 1 => {
                let value = self.output(index, 0);
                let (lower, upper) = if self.minor >= 13 { (value, NULL) } else { (NULL, value) };
                stack.push(lower);
                stack.push(upper);
            }
            Op::GetIter if self.minor >= 15 => {
                stack.pop(1)?;
                stack.push(self.output(index, 0));
                stack.push(NULL);
            }
            Op::PopBlock => {
                state.setups = self.setups.get(state.setups as usize).map_or(NOWHERE, |setup| setup.below);
            }
            Op::EndFinally | Op::PopFinally | Op::WithCleanupStart | Op::WithCleanupFinish => {
                return self.step_finally(index, op, arg, &mut stack);
            }
            _ => {
                if let Some(items) = growth(op) {
                    stack.pop(items)?;
                    *stack.peek(arg)? = self.output(index, 0);
                    return Ok(true);
                }
                let effect = effect(op, arg, self.minor);
                if (stack.depth() as u32) < effect.uses {
                    return Err(());
                }
                stack.pop(effect.pops)?;
                (0..effect.pushes).for_each(|output| stack.push(self.output(index, output)));
            }
        }
        Ok(true)
    }

    /// 3.8's finally blocks, entered with a token (one value) or with an exception (six unknown ones).
    fn step_finally(&self, index: usize, op: Op, arg: u32, stack: &mut Stack<'_>) -> Result<bool, ()> {
        let seen = match op {
            Op::PopFinally => 1 + arg.min(1),
            Op::WithCleanupFinish => 3,
            _ => 1,
        };
        let exception = *stack.peek(seen)? == UNKNOWN;
        let output = |index_of| self.output(index, index_of);
        match (op, exception) {
            (Op::EndFinally, false) => {
                // A return address: control goes on behind the CALL_FINALLY, which `run_block` treats as falling through.
                let called = self.maker(*stack.peek(1)?).is_some_and(|(_, maker)| maker.op == Op::CallFinally);
                stack.pop(1)?;
                return Ok(!called);
            }
            (Op::EndFinally, true) => {
                stack.pop(6)?;
                return Ok(false);
            }
            (Op::PopFinally, _) => {
                let kept = *stack.peek(1)?;
                stack.pop(arg.min(1) + if exception { 6 } else { 1 })?;
                (0..arg.min(1)).for_each(|_| stack.push(kept));
            }
            (Op::WithCleanupStart, false) => {
                let token = *stack.peek(1)?;
                stack.pop(2)?;
                stack.push(token);
                stack.push(output(1));
                stack.push(output(2));
            }
            (Op::WithCleanupStart, true) => {
                stack.push(output(1));
                stack.push(output(2));
            }
            (Op::WithCleanupFinish, false) => stack.pop(2)?,
            _ => {
                stack.pop(9)?;
                stack.push(NULL);
            }
        }
        Ok(true)
    }
}
