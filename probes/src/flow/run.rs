//! Runs blocks until their entry states no longer change, then once more to note what lies where. What one instruction
//! does is in `step`, how states join in `join`.

use super::join::Work;
use super::{FIRST_SLOT, Flow, MOST_VALUES, Setup, State, UNKNOWN, Value};
use crate::block::{self, Block};
use crate::effect::{effect, ends};
use crate::exception_table::Handler;
use crate::instruction::{Instruction, NOWHERE};
use crate::opcode::Op;
use crate::plan::PlanError;

impl Flow {
    /// Gives all outputs their numbers and all operands their places.
    pub(super) fn number(&mut self) -> Result<(), PlanError> {
        let mut outputs = (FIRST_SLOT + self.slots) as usize;
        for (index, instruction) in self.instructions.as_slice().iter().enumerate() {
            let effect = effect(instruction.op, instruction.arg, self.minor);
            let (uses, made) = match growth(instruction.op) {
                Some(items) => (items + 1, 1),
                None if instruction.op == Op::CallFinally => (0, 1),
                None => (effect.uses, effect.pushes),
            };
            self.uses_at.push(self.uses.len() as u32);
            self.outputs_at.push(outputs as Value);
            outputs += made as usize;
            if outputs > MOST_VALUES || self.uses.len() + uses as usize > MOST_VALUES {
                return Err(PlanError::TooLarge);
            }
            self.uses.resize(self.uses.len() + uses as usize, UNKNOWN);
            self.instruction_of.resize(outputs - (FIRST_SLOT + self.slots) as usize, index as u32);
        }
        self.uses_at.push(self.uses.len() as u32);
        Ok(())
    }

    pub(super) fn run(&mut self) -> Result<(), PlanError> {
        let mut work = Work::new(self.blocks.len());
        let mut values = (0..self.slots).map(|slot| FIRST_SLOT + slot).collect::<Vec<_>>();
        if self.list().first().is_some_and(|first| first.op == Op::GenStart) {
            // The None that a generator is first sent.
            values.push(UNKNOWN);
        }
        work.join(self, 0, &values, NOWHERE)?;
        let mut state = State::default();
        let mut budget = 200_000 + 50 * self.list().len();
        while let Some(block) = work.next() {
            let length = self.blocks.get(block).map_or(1, |block| block.end - block.first) as usize;
            budget = budget.checked_sub(length).ok_or(PlanError::TooLarge)?;
            self.run_block(block, &mut state, &mut work)?;
        }
        work.settled = true;
        for block in 0..self.blocks.len() {
            if work.reached.get(block).copied().unwrap_or(false) {
                self.run_block(block, &mut state, &mut work)?;
            }
        }
        Ok(())
    }

    /// Runs one block from its entry state and hands the results to its successors.
    fn run_block(&mut self, block: usize, state: &mut State, work: &mut Work) -> Result<(), PlanError> {
        let Some(&Block { first, end, .. }) = self.blocks.get(block) else { return Ok(()) };
        state.values.clear();
        state.values.extend_from_slice(self.entries.get(block).map_or(&[], Vec::as_slice));
        state.setups = self.entry_setups.get(block).copied().unwrap_or(NOWHERE);
        let mut joined = NOWHERE;
        for index in first as usize..end as usize {
            let Some(&instruction) = self.list().get(index) else { break };
            let malformed = PlanError::Malformed { offset: instruction.offset };
            if work.settled {
                self.note(index, state);
            }
            let handler = self.covering(index, state);
            if handler != joined {
                self.join_handler(handler, state, work)?;
                joined = handler;
            }
            let jump = self.jump_state(index, state);
            if block::sets_up(instruction.op) {
                self.set_up(index, &instruction, state, work)?;
            }
            let falls = self.step(index, state).map_err(|()| malformed)? && !ends(instruction.op);
            if changes_locals(instruction.op) {
                joined = NOWHERE;
            }
            if instruction.target != NOWHERE && !block::sets_up(instruction.op) {
                let target = self.block(instruction.target as usize);
                match jump {
                    // Its depth may differ from that of the normal way in, which then is the one that counts.
                    Some(_) if instruction.op == Op::CallFinally && self.after_begin(instruction.target) => {}
                    Some(jump) => work.join(self, target as usize, &jump.values, jump.setups)?,
                    None => work.join(self, target as usize, &state.values, state.setups)?,
                }
            }
            if index as u32 + 1 == end && falls {
                if block + 1 >= self.blocks.len() {
                    // Runs off the end of the code.
                    return Err(PlanError::Malformed { offset: instruction.offset });
                }
                work.join(self, block + 1, &state.values, state.setups)?;
            }
        }
        Ok(())
    }

    /// The state at a jump's target, where it is not the one after the instruction.
    fn jump_state(&self, index: usize, state: &State) -> Option<State> {
        let instruction = self.list().get(index)?;
        let mut jump = state.clone_if(match instruction.op {
            Op::ForIter => self.minor <= 11,
            Op::Send => self.minor == 11,
            Op::JumpIfFalseOrPop | Op::JumpIfTrueOrPop | Op::CallFinally => true,
            _ => false,
        })?;
        match instruction.op {
            Op::ForIter => {
                jump.values.pop();
            }
            Op::Send => {
                jump.values.pop();
                jump.values.pop();
                jump.values.push(self.output(index, 0));
            }
            Op::CallFinally => jump.values.push(self.output(index, 0)),
            _ => {}
        }
        Some(jump)
    }

    /// In the last pass: remembers operands and depth, which are final now.
    fn note(&mut self, index: usize, state: &State) {
        let depth = state.values.len() - self.slots as usize;
        if let Some(noted) = self.depth.get_mut(index) {
            *noted = depth as u32;
        }
        let Some(instruction) = self.list().get(index).copied() else { return };
        if self.minor <= 10 {
            let handler = self.covering(index, state);
            if let Some(covered) = self.covered.get_mut(index) {
                *covered = handler;
            }
        }
        let slot = match instruction.op {
            Op::StoreFast => Some(instruction.arg),
            Op::StoreFastLoadFast | Op::StoreFastStoreFast => Some(instruction.arg >> 4),
            _ => None,
        };
        if let (Some(slot), Some(top)) = (slot, state.values.last()) {
            self.stored.push((*top, slot));
        }
        if let (Op::StoreFastStoreFast, [.., second, _]) = (instruction.op, state.values.as_slice()) {
            self.stored.push((*second, instruction.arg & 15));
        }
        let from = self.uses_at.get(index).copied().unwrap_or(0) as usize;
        let to = self.uses_at.get(index + 1).copied().unwrap_or(0) as usize;
        let Some(uses) = self.uses.get_mut(from..to) else { return };
        if let Some(items) = growth(instruction.op) {
            let items = items as usize;
            let container = depth.checked_sub(items + instruction.arg as usize);
            let Some((first, rest)) = uses.split_first_mut() else { return };
            *first = container.and_then(|at| state.values.get(self.slots as usize + at)).copied().unwrap_or(UNKNOWN);
            if depth >= items {
                rest.copy_from_slice(&state.values[state.values.len() - items..]);
            }
        } else if uses.len() <= depth {
            let top = state.values.len() - uses.len();
            uses.copy_from_slice(&state.values[top..]);
        }
    }

    fn covering(&self, index: usize, state: &State) -> u32 {
        if self.minor >= 11 {
            return self.covered.get(index).copied().unwrap_or(NOWHERE);
        }
        self.setups.get(state.setups as usize).map_or(NOWHERE, |setup| setup.handler)
    }

    fn join_handler(&mut self, handler: u32, state: &State, work: &mut Work) -> Result<(), PlanError> {
        let Some(&Handler { target, depth, pushes }) = self.handlers.get(handler as usize) else { return Ok(()) };
        let keep = (self.slots + depth) as usize;
        let mut values = std::mem::take(&mut work.scratch);
        values.clear();
        values.extend(state.values.iter().take(keep).copied());
        let offset = self.list().get(target as usize).map_or(0, |instruction| instruction.offset);
        if values.len() < keep {
            return Err(PlanError::Malformed { offset });
        }
        values.resize(keep + pushes as usize, UNKNOWN);
        let block = self.block(target as usize) as usize;
        let setups =
            if self.minor >= 11 { NOWHERE } else { self.setups.get(state.setups as usize).map_or(NOWHERE, |setup| setup.below) };
        // In 3.8 one finally block serves both ways in, at different depths; the way without an exception counts.
        let result = if self.minor == 8 && self.finally(target) { Ok(()) } else { work.join(self, block, &values, setups) };
        work.scratch = values;
        result
    }

    fn after_begin(&self, target: u32) -> bool {
        let before = (target as usize).checked_sub(1).and_then(|before| self.list().get(before));
        before.is_some_and(|before| before.op == Op::BeginFinally)
    }

    fn finally(&self, target: u32) -> bool {
        self.after_begin(target)
            || self.list().iter().any(|instruction| instruction.op == Op::CallFinally && instruction.target == target)
    }

    fn set_up(&mut self, index: usize, instruction: &Instruction, state: &mut State, work: &Work) -> Result<(), PlanError> {
        let known = self.setups.iter().rposition(|setup| setup.instruction == index as u32);
        let known = match known {
            Some(known) => known,
            None if work.settled => return Ok(()),
            None => {
                let depth = (state.values.len() - self.slots as usize) as u32;
                let depth = if instruction.op == Op::SetupAsyncWith { depth.saturating_sub(1) } else { depth };
                self.handlers.push(Handler { target: instruction.target, depth, pushes: 6 });
                let handler = self.handlers.len() as u32 - 1;
                self.setups.push(Setup { instruction: index as u32, below: state.setups, handler });
                self.setups.len() - 1
            }
        };
        state.setups = known as u32;
        Ok(())
    }
}

impl State {
    fn clone_if(&self, condition: bool) -> Option<State> {
        condition.then(|| self.clone())
    }
}

/// For instructions that grow a container deeper in the stack: how many values they add.
pub(super) fn growth(op: Op) -> Option<u32> {
    match op {
        Op::ListAppend | Op::SetAdd | Op::ListExtend | Op::SetUpdate | Op::DictUpdate | Op::DictMerge => Some(1),
        Op::MapAdd => Some(2),
        _ => None,
    }
}

fn changes_locals(op: Op) -> bool {
    matches!(
        op,
        Op::StoreFast | Op::StoreFastLoadFast | Op::StoreFastStoreFast | Op::DeleteFast | Op::LoadFastAndClear | Op::MakeCell
    )
}
