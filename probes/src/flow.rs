//! The value stack and the locals before each instruction, symbolically: which value lies where, and from which
//! instruction it comes. It does not ask what the values mean.
//!
//! Values are numbered in static single assignment: each output of an instruction is one value, and where control joins
//! with different values in one place there is a phi. Blocks are run until their entry states no longer change; a place
//! changes at most once per block (from a value to its phi), so this ends.

use crate::block::{self, Block};
use crate::code::Code;
use crate::effect::{self, effect, ends};
use crate::exception_table::{self, Handler};
use crate::instruction::{Instruction, Instructions, NOWHERE};
use crate::opcode::Op;
use crate::plan::PlanError;
use crate::version::Version;

/// A value, by number.
pub type Value = u32;

/// Nothing is known about it: an exception, a handler's bookkeeping.
pub const UNKNOWN: Value = 0;
/// The NULL that calls have beside their callee, or an unset local.
pub const NULL: Value = 1;
const FIRST_SLOT: Value = 2;

/// Depth of instructions that nothing reaches.
pub const UNREACHED: u32 = u32::MAX;

/// Bounds of the work and memory for one code object.
const MOST_VALUES: usize = 1 << 22;
const MOST_STATE: usize = 1 << 22;

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Definition {
    Unknown,
    Null,
    /// What the frame slot holds at the function's entry.
    Slot(u32),
    Output {
        instruction: u32,
        index: u32,
    },
    Phi(u32),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phi {
    pub block: u32,
    /// Index into the state: locals first, then the stack.
    pub place: u32,
    pub operands: Vec<Value>,
}

/// The result.
#[derive(Debug, Clone)]
pub struct Flow {
    pub minor: u8,
    pub instructions: Instructions,
    pub blocks: Vec<Block>,
    pub block_of: Vec<u32>,
    pub handlers: Vec<Handler>,
    /// By instruction: the handler that covers it.
    pub covered: Vec<u32>,
    /// By instruction: the depth of the value stack before it, or [`UNREACHED`].
    pub depth: Vec<u32>,
    pub phis: Vec<Phi>,
    pub slots: u32,
    /// By block: the state at its entry, empty where nothing reaches it. Locals first, then the stack.
    entries: Vec<Vec<Value>>,
    entry_setups: Vec<u32>,
    setups: Vec<Setup>,
    uses: Vec<Value>,
    uses_at: Vec<u32>,
    outputs_at: Vec<Value>,
    instruction_of: Vec<u32>,
}

/// 3.8-3.10: a block on the frame's block stack.
#[derive(Debug, Clone, Copy)]
struct Setup {
    instruction: u32,
    below: u32,
    handler: u32,
}

/// What is where at one moment.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// Locals first, then the stack.
    pub values: Vec<Value>,
    setups: u32,
}

impl Flow {
    /// # Errors
    /// Code that cannot be decoded, whose stack depths contradict each other, or that is too large.
    pub fn new(code: &Code, version: Version) -> Result<Flow, PlanError> {
        let instructions = Instructions::decode(&code.bytecode, version)?;
        let (handlers, covered) = if version.minor >= 11 {
            exception_table::read(&code.exception_table, &instructions)
        } else {
            (Vec::new(), vec![NOWHERE; instructions.len()])
        };
        let (blocks, block_of) = block::cut(instructions.as_slice(), &handlers);
        let slots = code.locals.len() as u32;
        let mut flow = Flow {
            minor: version.minor,
            entries: vec![Vec::new(); blocks.len()],
            entry_setups: vec![NOWHERE; blocks.len()],
            depth: vec![UNREACHED; instructions.len()],
            instructions,
            blocks,
            block_of,
            handlers,
            covered,
            phis: Vec::new(),
            slots,
            setups: Vec::new(),
            uses: Vec::new(),
            uses_at: Vec::new(),
            outputs_at: Vec::new(),
            instruction_of: Vec::new(),
        };
        flow.number()?;
        flow.run()?;
        Ok(flow)
    }

    #[must_use]
    pub fn list(&self) -> &[Instruction] {
        self.instructions.as_slice()
    }

    /// The values that an instruction takes or looks at, lowest on the stack first.
    #[must_use]
    pub fn uses(&self, instruction: usize) -> &[Value] {
        let from = self.uses_at.get(instruction).copied().unwrap_or(0) as usize;
        let to = self.uses_at.get(instruction + 1).copied().unwrap_or(0) as usize;
        self.uses.get(from..to).unwrap_or(&[])
    }

    /// The `from_top`-th value from the top that it takes: 1 is the top.
    #[must_use]
    pub fn operand(&self, instruction: usize, from_top: usize) -> Value {
        let uses = self.uses(instruction);
        uses.len().checked_sub(from_top).and_then(|index| uses.get(index)).copied().unwrap_or(UNKNOWN)
    }

    /// The `index`-th value that an instruction makes, lowest on the stack first.
    #[must_use]
    pub fn output(&self, instruction: usize, index: u32) -> Value {
        self.outputs_at.get(instruction).map_or(UNKNOWN, |first| first + index)
    }

    #[must_use]
    pub fn definition(&self, value: Value) -> Definition {
        let first_output = FIRST_SLOT + self.slots;
        match value {
            UNKNOWN => Definition::Unknown,
            NULL => Definition::Null,
            slot if slot < first_output => Definition::Slot(slot - FIRST_SLOT),
            output => match self.instruction_of.get((output - first_output) as usize) {
                Some(&instruction) => {
                    let first = self.outputs_at.get(instruction as usize).copied().unwrap_or(output);
                    Definition::Output { instruction, index: output - first }
                }
                None => Definition::Phi(output - self.first_phi()),
            },
        }
    }

    /// The instruction that makes `value`.
    #[must_use]
    pub fn maker(&self, value: Value) -> Option<(usize, Instruction)> {
        let Definition::Output { instruction, .. } = self.definition(value) else { return None };
        self.list().get(instruction as usize).map(|found| (instruction as usize, *found))
    }

    /// How many values there are: all numbers below this.
    #[must_use]
    pub fn values(&self) -> usize {
        self.first_phi() as usize + self.phis.len()
    }

    #[must_use]
    pub fn reached(&self, instruction: usize) -> bool {
        self.depth.get(instruction).is_some_and(|depth| *depth != UNREACHED)
    }

    #[must_use]
    pub fn handler(&self, instruction: usize) -> Option<Handler> {
        self.handlers.get(*self.covered.get(instruction)? as usize).copied()
    }

    /// What is where before `instruction`, if anything reaches it.
    #[must_use]
    pub fn before(&self, instruction: usize) -> Option<State> {
        let block = *self.block_of.get(instruction)? as usize;
        let mut state = self.entry(block)?;
        for index in self.blocks.get(block)?.first as usize..instruction {
            self.step(index, &mut state).ok()?;
        }
        Some(state)
    }

    /// What is where after `instruction` if it neither jumps nor raises.
    #[must_use]
    pub fn after(&self, instruction: usize) -> Option<State> {
        let mut state = self.before(instruction)?;
        self.step(instruction, &mut state).ok()?;
        Some(state)
    }

    fn first_phi(&self) -> Value {
        FIRST_SLOT + self.slots + self.instruction_of.len() as Value
    }

    fn entry(&self, block: usize) -> Option<State> {
        let values = self.entries.get(block)?;
        let reached = !values.is_empty() || (block == 0 && self.slots == 0) || self.is_reached(block);
        reached.then(|| State { values: values.clone(), setups: self.entry_setups.get(block).copied().unwrap_or(NOWHERE) })
    }

    fn is_reached(&self, block: usize) -> bool {
        self.blocks.get(block).is_some_and(|block| self.reached(block.first as usize))
    }

    /// Gives all outputs their numbers and all operands their places.
    fn number(&mut self) -> Result<(), PlanError> {
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

    fn run(&mut self) -> Result<(), PlanError> {
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
                let target = self.block_of.get(instruction.target as usize).copied().unwrap_or(NOWHERE);
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
        let block = self.block_of.get(target as usize).copied().unwrap_or(NOWHERE) as usize;
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

    /// Changes `state` as the instruction does when control falls through. Says whether it can.
    fn step(&self, index: usize, state: &mut State) -> Result<bool, ()> {
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

/// Blocks whose entry state changed since they were run.
struct Work {
    reached: Vec<bool>,
    dirty: Vec<bool>,
    at: usize,
    pending: usize,
    state_size: usize,
    settled: bool,
    scratch: Vec<Value>,
}

impl Work {
    fn new(blocks: usize) -> Work {
        Work {
            reached: vec![false; blocks],
            dirty: vec![false; blocks],
            at: 0,
            pending: 0,
            state_size: 0,
            settled: false,
            scratch: Vec::new(),
        }
    }

    /// The next block to run, in the order of the code, around and around.
    fn next(&mut self) -> Option<usize> {
        while self.pending > 0 {
            if self.at >= self.dirty.len() {
                self.at = 0;
            }
            let at = self.at;
            self.at += 1;
            if let Some(dirty) = self.dirty.get_mut(at).filter(|dirty| **dirty) {
                *dirty = false;
                self.pending -= 1;
                return Some(at);
            }
        }
        None
    }

    fn mark(&mut self, block: usize) {
        if let Some(dirty) = self.dirty.get_mut(block).filter(|dirty| !**dirty) {
            *dirty = true;
            self.pending += 1;
        }
    }

    /// Joins a state into a block's entry state. Once all is settled, collects the phis' operands instead.
    fn join(&mut self, flow: &mut Flow, block: usize, values: &[Value], setups: u32) -> Result<(), PlanError> {
        let first_phi = flow.first_phi();
        let offset =
            flow.blocks.get(block).and_then(|block| flow.list().get(block.first as usize)).map_or(0, |first| first.offset);
        let (Some(reached), Some(entry)) = (self.reached.get_mut(block), flow.entries.get_mut(block)) else { return Ok(()) };
        if !*reached {
            *reached = true;
            self.state_size += values.len();
            if self.state_size > MOST_STATE {
                return Err(PlanError::TooLarge);
            }
            entry.extend_from_slice(values);
            if let Some(entry_setups) = flow.entry_setups.get_mut(block) {
                *entry_setups = setups;
            }
            self.mark(block);
            return Ok(());
        }
        if entry.len() != values.len() {
            return if flow.minor == 8 { Ok(()) } else { Err(PlanError::Malformed { offset }) };
        }
        let mut changed = false;
        for (place, (known, new)) in entry.iter_mut().zip(values).enumerate() {
            if known == new && !self.settled {
                continue;
            }
            let phi = known.checked_sub(first_phi).map(|phi| phi as usize);
            let own = phi
                .and_then(|phi| flow.phis.get_mut(phi))
                .filter(|phi| phi.block as usize == block && phi.place as usize == place);
            match own {
                Some(phi) if self.settled => {
                    if new != known && !phi.operands.contains(new) && phi.operands.len() < 64 {
                        phi.operands.push(*new);
                    }
                }
                Some(_) => {}
                None if self.settled => {}
                None => {
                    if flow.phis.len() + first_phi as usize > MOST_VALUES {
                        return Err(PlanError::TooLarge);
                    }
                    flow.phis.push(Phi { block: block as u32, place: place as u32, operands: Vec::new() });
                    *known = first_phi + flow.phis.len() as Value - 1;
                    changed = true;
                }
            }
        }
        if changed {
            self.mark(block);
        }
        Ok(())
    }
}

impl State {
    fn clone_if(&self, condition: bool) -> Option<State> {
        condition.then(|| self.clone())
    }
}

/// The state while an instruction works on it.
struct Stack<'a> {
    slots: usize,
    values: &'a mut Vec<Value>,
}

impl Stack<'_> {
    fn depth(&self) -> usize {
        self.values.len() - self.slots
    }

    fn push(&mut self, value: Value) {
        self.values.push(value);
    }

    fn pop(&mut self, count: u32) -> Result<(), ()> {
        let left = self.depth().checked_sub(count as usize).ok_or(())?;
        self.values.truncate(self.slots + left);
        Ok(())
    }

    /// The value that lies `from_top` deep: 1 is the top.
    fn peek(&mut self, from_top: u32) -> Result<&mut Value, ()> {
        let at = self.depth().checked_sub(from_top as usize).filter(|_| from_top > 0).ok_or(())?;
        self.values.get_mut(self.slots + at).ok_or(())
    }

    fn local(&mut self, slot: u32) -> Result<&mut Value, ()> {
        self.values.get_mut(..self.slots).and_then(|locals| locals.get_mut(slot as usize)).ok_or(())
    }

    fn load(&mut self, slot: u32) -> Result<(), ()> {
        let value = *self.local(slot)?;
        self.push(value);
        Ok(())
    }

    fn store(&mut self, slot: u32) -> Result<(), ()> {
        let value = *self.peek(1)?;
        self.pop(1)?;
        *self.local(slot)? = value;
        Ok(())
    }

    fn copy(&mut self, from_top: u32) -> Result<(), ()> {
        let value = *self.peek(from_top)?;
        self.push(value);
        Ok(())
    }

    fn swap(&mut self, from_top: u32) -> Result<(), ()> {
        let deep = *self.peek(from_top)?;
        let top = std::mem::replace(self.peek(1)?, deep);
        *self.peek(from_top)? = top;
        Ok(())
    }

    /// Moves the top value down to be the `places`-th from the top.
    fn sink(&mut self, places: u32) -> Result<(), ()> {
        let at = self.depth().checked_sub(places as usize).filter(|_| places > 0).ok_or(())?;
        self.values.get_mut(self.slots + at..).ok_or(())?.rotate_right(1);
        Ok(())
    }
}

/// For instructions that grow a container deeper in the stack: how many values they add.
fn growth(op: Op) -> Option<u32> {
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

/// Is control able to leave the instruction towards its handler?
#[must_use]
pub fn raises(flow: &Flow, instruction: usize) -> bool {
    flow.list().get(instruction).is_some_and(|found| effect::raises(found.op)) && flow.handler(instruction).is_some()
}
