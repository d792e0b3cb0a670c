//! The value stack and the locals before each instruction, symbolically: which value lies where, and from which
//! instruction it comes. It does not ask what the values mean.
//!
//! Values are numbered in static single assignment: each output of an instruction is one value, and where control joins
//! with different values in one place there is a phi. Blocks are run until their entry states no longer change; a place
//! changes at most once per block (from a value to its phi), so this ends.

use crate::block::{self, Block};
use crate::code::Code;
use crate::control::Side;
use crate::effect::{self, effect, ends};
use crate::exception_table::{self, Handler};
use crate::instruction::{Instruction, Instructions, NOWHERE};
use crate::opcode::Op;
use crate::plan::PlanError;
use crate::version::Version;

mod join;
mod stack;
mod step;

use join::Work;

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
    /// Phis by block, and the locals that values are stored to, by value.
    phi_order: Vec<u32>,
    stored: Vec<(Value, u32)>,
    predecessors: Vec<u32>,
    predecessors_at: Vec<u32>,
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
            phi_order: Vec::new(),
            stored: Vec::new(),
            predecessors: Vec::new(),
            predecessors_at: Vec::new(),
            setups: Vec::new(),
            uses: Vec::new(),
            uses_at: Vec::new(),
            outputs_at: Vec::new(),
            instruction_of: Vec::new(),
        };
        flow.number()?;
        flow.run()?;
        flow.phi_order = (0..flow.phis.len() as u32).collect();
        flow.phi_order.sort_by_key(|phi| flow.phis.get(*phi as usize).map(|phi| phi.block));
        flow.link();
        flow.stored.sort_unstable();
        flow.stored.dedup_by_key(|(value, _)| *value);
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

    #[must_use]
    pub fn slot_value(slot: u32) -> Value {
        FIRST_SLOT + slot
    }

    #[must_use]
    pub fn phi_value(&self, phi: usize) -> Value {
        self.first_phi() + phi as Value
    }

    /// The phis at the start of the block that begins with `instruction`, if one does.
    #[must_use]
    pub fn phis_before(&self, instruction: usize) -> Option<impl Iterator<Item = usize> + use<'_>> {
        let block = *self.block_of.get(instruction)?;
        let begins = self.blocks.get(block as usize).is_some_and(|block| block.first as usize == instruction);
        let block_of = |phi: &u32| self.phis.get(*phi as usize).map_or(NOWHERE, |phi| phi.block);
        let from = self.phi_order.partition_point(|phi| block_of(phi) < block);
        let here = self.phi_order.get(from..).unwrap_or(&[]);
        begins.then(|| here.iter().take_while(move |phi| block_of(phi) == block).map(|phi| *phi as usize))
    }

    /// The blocks that control comes from, exceptions aside.
    #[must_use]
    pub fn predecessors(&self, block: u32) -> &[u32] {
        let from = self.predecessors_at.get(block as usize).copied().unwrap_or(0) as usize;
        let to = self.predecessors_at.get(block as usize + 1).copied().unwrap_or(0) as usize;
        self.predecessors.get(from..to).unwrap_or(&[])
    }

    /// The branch that ends `block`, if one does.
    #[must_use]
    pub fn branch_of(&self, block: u32) -> Option<Side> {
        let last = self.blocks.get(block as usize)?.end.checked_sub(1)?;
        let branches = self.list().get(last as usize).is_some_and(|last| effect::branches(last.op));
        branches.then_some(Side { block, jump: false })
    }

    /// The value that the branch at the end of `block` tests: a condition, or the iterator that may be exhausted. Not
    /// the tests that `except` and `with` make of an exception.
    #[must_use]
    pub fn condition(&self, block: u32) -> Option<Value> {
        let last = self.blocks.get(block as usize)?.end.checked_sub(1)? as usize;
        let instruction = self.list().get(last)?;
        match instruction.op {
            Op::JumpIfNotExcMatch => None,
            Op::ForIter => self.uses(last).first().copied(),
            op if effect::branches(op) => {
                let value = self.operand(last, 1);
                let of_exception = |(_, maker): (usize, Instruction)| {
                    matches!(maker.op, Op::CheckExcMatch | Op::CheckEgMatch | Op::WithExceptStart)
                        || (maker.op == Op::CompareOp && self.minor == 8 && maker.arg == 10)
                };
                (!self.maker(value).is_some_and(of_exception)).then_some(value)
            }
            _ => None,
        }
    }

    /// Is it the way into the body of a `for` loop, which says no more than that there is another element?
    #[must_use]
    pub fn enters_loop(&self, side: Side) -> bool {
        let last = self.blocks.get(side.block as usize).and_then(|block| block.end.checked_sub(1));
        !side.jump && last.and_then(|last| self.list().get(last as usize)).is_some_and(|last| last.op == Op::ForIter)
    }

    fn link(&mut self) {
        let mut edges: Vec<(u32, u32)> = Vec::new();
        for (index, block) in self.blocks.iter().enumerate() {
            if self.reached(block.first as usize) {
                edges.extend(block.successors().map(|next| (next as u32, index as u32)));
            }
        }
        edges.sort_unstable();
        edges.dedup();
        self.predecessors_at = vec![0; self.blocks.len() + 1];
        let mut at = 0;
        for (block, from) in self.predecessors_at.iter_mut().enumerate() {
            while edges.get(at).is_some_and(|(target, _)| (*target as usize) < block) {
                at += 1;
            }
            *from = at as u32;
        }
        self.predecessors = edges.into_iter().map(|(_, from)| from).collect();
    }

    /// The local that a value is stored to, if it is.
    #[must_use]
    pub fn stored(&self, value: Value) -> Option<u32> {
        let at = self.stored.binary_search_by_key(&value, |(value, _)| *value).ok()?;
        self.stored.get(at).map(|(_, slot)| *slot)
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
}

impl State {
    fn clone_if(&self, condition: bool) -> Option<State> {
        condition.then(|| self.clone())
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
