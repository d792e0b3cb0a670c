//! The value stack and the locals before each instruction, symbolically: which value lies where, and from which
//! instruction it comes. It does not ask what the values mean.
//!
//! Values are numbered in static single assignment: each output of an instruction is one value, and where control joins
//! with different values in one place there is a phi. Blocks are run until their entry states no longer change; a place
//! changes at most once per block (from a value to its phi), so this ends.

use crate::block::{self, Block};
use crate::code::Code;
use crate::control::Side;
use crate::effect;
use crate::exception_table::{self, Handler};
use crate::instruction::{Instruction, Instructions, NOWHERE};
use crate::opcode::Op;
use crate::plan::PlanError;
use crate::version::Version;

mod join;
mod run;
mod stack;
mod step;

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
/// A phi with so many operands stands for others, too.
pub const MOST_JOINED: usize = 64;

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
    block_of: Vec<u32>,
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

    /// The value whose truth a condition is, or (`true`) whose untruth.
    #[must_use]
    pub fn behind_truth(&self, condition: Value) -> (Value, bool) {
        let (mut value, mut negated) = (condition, false);
        while let Some((at, maker)) = self.maker(value) {
            match maker.op {
                Op::ToBool => value = self.operand(at, 1),
                Op::UnaryNot => (value, negated) = (self.operand(at, 1), !negated),
                _ => break,
            }
        }
        (value, negated)
    }

    /// Bits of a COMPARE_OP's argument below the number of the comparison.
    #[must_use]
    pub fn comparison_shift(&self) -> u32 {
        match self.minor {
            0..=11 => 0,
            12 => 4,
            _ => 5,
        }
    }

    #[must_use]
    pub fn slot_value(slot: u32) -> Value {
        FIRST_SLOT + slot
    }

    #[must_use]
    pub fn phi_value(&self, phi: usize) -> Value {
        self.first_phi() + phi as Value
    }

    /// The block that `instruction` lies in; [`NOWHERE`] for what is no instruction.
    #[must_use]
    pub fn block(&self, instruction: usize) -> u32 {
        self.block_of.get(instruction).copied().unwrap_or(NOWHERE)
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
}

/// Is control able to leave the instruction towards its handler?
#[must_use]
pub fn raises(flow: &Flow, instruction: usize) -> bool {
    flow.list().get(instruction).is_some_and(|found| effect::raises(found.op)) && flow.handler(instruction).is_some()
}
