//! What a value depends on: the reads whose results flow into it, through locals, operators, calls and conditions. It
//! follows a bounded number of values; beyond that, dependences are missed.

use std::collections::HashMap;

use crate::access::{Access, makes_own};
use crate::code::Code;
use crate::control::Control;
use crate::flow::{Definition, Flow, Value};
use crate::ident::{Ident, Idents, NOTHING, is_known};
use crate::instruction::NOWHERE;
use crate::opcode::Op;
use crate::plan::Operation;

/// A read that a value depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// Index of the access.
    pub access: u32,
    /// The FOR_ITER through whose elements it is seen, or [`NOWHERE`].
    pub element_of: u32,
}

pub struct Dependence<'a> {
    flow: &'a Flow,
    control: &'a Control,
    idents: &'a Idents,
    /// By instruction: where its accesses begin in the list of accesses.
    first_access: Vec<u32>,
    reads: Vec<bool>,
    /// What is put into containers that are made here: container, instruction.
    filled: Vec<(Value, u32)>,
    /// By instruction: the attribute that is read there was stored by this one, a few before it.
    kept: HashMap<u32, u32>,
    /// By access: its subject.
    subjects: Vec<Ident>,
    seen: Vec<u32>,
    round: u32,
    budget: usize,
}

impl<'a> Dependence<'a> {
    #[must_use]
    pub fn new(code: &Code, flow: &'a Flow, control: &'a Control, idents: &'a Idents, accesses: &[Access]) -> Self {
        let mut first_access = vec![0; flow.list().len() + 1];
        let mut next = 0;
        for (instruction, first) in first_access.iter_mut().enumerate() {
            while accesses.get(next).is_some_and(|access| (access.instruction as usize) < instruction) {
                next += 1;
            }
            *first = next as u32;
        }
        let mut filled: Vec<(Value, u32)> = Vec::new();
        for access in accesses.iter().filter(|access| access.writes()) {
            if let Some(container) = access.container
                && makes_own(code, flow, idents, container)
            {
                filled.push((container, access.instruction));
            }
        }
        filled.sort_unstable();
        Dependence {
            flow,
            control,
            idents,
            first_access,
            reads: accesses.iter().map(Access::reads).collect(),
            filled,
            kept: kept(flow, accesses),
            subjects: accesses.iter().map(|access| access.subject).collect(),
            seen: vec![0; flow.values()],
            round: 0,
            budget: 64 * flow.values() + 20_000,
        }
    }

    /// The reads made by one instruction.
    pub fn reads_at(&self, instruction: usize) -> impl Iterator<Item = u32> + use<'_, 'a> {
        let from = self.first_access.get(instruction).copied().unwrap_or(0);
        let to = self.first_access.get(instruction + 1).copied().unwrap_or(from);
        (from..to).filter(|access| self.reads.get(*access as usize) == Some(&true))
    }

    /// The reads that `values` depend on.
    pub fn sources(&mut self, values: impl IntoIterator<Item = Value>) -> Vec<Source> {
        let (mut found, mut calls) = (Vec::new(), Vec::new());
        self.follow(values, &mut found, &mut calls);
        found
    }

    /// The same, and the instructions (calls among them) on the way.
    pub fn follow(&mut self, values: impl IntoIterator<Item = Value>, found: &mut Vec<Source>, makers: &mut Vec<u32>) {
        self.round += 1;
        let mut work: Vec<Value> = values.into_iter().collect();
        let mut elements: Vec<(Value, u32)> = Vec::new();
        let mut element_of = NOWHERE;
        // What kept attributes were made of; what was read of these attributes themselves is over when they were stored.
        let (mut kept, mut over): (Vec<(Value, Ident)>, Vec<Ident>) = (Vec::new(), Vec::new());
        loop {
            let Some(value) = work.pop() else {
                if let Some((value, attribute)) = kept.pop() {
                    over.push(attribute);
                    work.push(value);
                    continue;
                }
                let Some((iterator, loop_of)) = elements.pop() else { break };
                element_of = if element_of == NOWHERE { loop_of } else { element_of };
                work.push(iterator);
                continue;
            };
            let unseen = self.seen.get_mut(value as usize).filter(|seen| **seen != self.round);
            let (Some(seen), Some(left)) = (unseen, self.budget.checked_sub(1)) else { continue };
            if !is_known(value) {
                continue;
            }
            *seen = self.round;
            self.budget = left;
            match self.flow.definition(value) {
                Definition::Output { instruction, .. } => {
                    let index = instruction as usize;
                    makers.push(instruction);
                    let reads = self.reads_at(index).filter(|access| !over.contains(&self.subject(*access)));
                    found.extend(reads.map(|access| Source { access, element_of }));
                    let operands = self.flow.uses(index);
                    if self.flow.list().get(index).is_some_and(|maker| maker.op == Op::ForIter) {
                        elements.extend(operands.iter().map(|iterator| (*iterator, instruction)));
                    } else {
                        work.extend_from_slice(operands);
                    }
                    self.contents(value, &mut work);
                    if let Some(store) = self.kept.get(&instruction) {
                        let attribute = self.reads_at(index).next().map_or(NOTHING, |access| self.subject(access));
                        kept.push((self.flow.operand(*store as usize, 2), attribute));
                    }
                }
                Definition::Phi(phi) => self.join(phi as usize, &mut work),
                _ => {}
            }
        }
    }

    fn subject(&self, access: u32) -> Ident {
        self.subjects.get(access as usize).copied().unwrap_or(NOTHING)
    }

    /// What was put into a container that this function made.
    fn contents(&self, container: Value, work: &mut Vec<Value>) {
        let from = self.filled.partition_point(|(filled, _)| *filled < container);
        for (_, instruction) in self.filled.iter().skip(from).take_while(|(filled, _)| *filled == container).take(16) {
            work.extend_from_slice(self.flow.uses(*instruction as usize));
        }
    }

    /// A phi of constants says which way control came: it depends on the branches that decided.
    fn join(&self, phi: usize, work: &mut Vec<Value>) {
        let Some(phi) = self.flow.phis.get(phi) else { return };
        work.extend_from_slice(&phi.operands);
        if !phi.operands.iter().any(|operand| self.idents.is_constant(*operand)) {
            return;
        }
        let here = self.control.parents(phi.block);
        for block in self.flow.predecessors(phi.block).iter().take(16) {
            let mut sides: Vec<_> = self.control.parents(*block).to_vec();
            sides.extend(self.flow.branch_of(*block));
            for side in sides.iter().filter(|side| !here.iter().any(|common| common.block == side.block)) {
                work.extend(self.flow.condition(side.block));
            }
        }
    }
}

/// Attributes that are read in the basic block in which they were stored (`self.id = cls.next; cls.next = self.id + 1`): by
/// the reading instruction, the last one before it that stored.
fn kept(flow: &Flow, accesses: &[Access]) -> HashMap<u32, u32> {
    let mut stores: HashMap<Ident, u32> = HashMap::new();
    let mut kept = HashMap::new();
    for access in accesses {
        match access.operation {
            Operation::AttributeWrite { .. } => {
                stores.insert(access.subject, access.instruction);
            }
            Operation::AttributeRead { .. } => {
                let store = stores
                    .get(&access.subject)
                    .filter(|store| flow.block(**store as usize) == flow.block(access.instruction as usize));
                kept.extend(store.map(|store| (access.instruction, *store)));
            }
            _ => {}
        }
    }
    kept
}

/// The values that say which item a write touches.
#[must_use]
pub fn selected(flow: &Flow, access: &Access) -> Vec<Value> {
    let index = access.instruction as usize;
    match &access.operation {
        Operation::ItemWrite { .. } | Operation::ItemDelete { .. } => vec![flow.operand(index, 1)],
        Operation::MethodCall {
            method: "insert" | "pop" | "remove" | "discard",
            first: Some(crate::plan::Place::Stack(first)),
            ..
        } => {
            vec![flow.operand(index, *first as usize)]
        }
        _ => Vec::new(),
    }
}

/// The values that a write stores: what its subject's new state is made of.
#[must_use]
pub fn stored(flow: &Flow, access: &Access) -> Vec<Value> {
    let index = access.instruction as usize;
    let one = |from_top| vec![flow.operand(index, from_top)];
    match &access.operation {
        Operation::GlobalWrite { .. } | Operation::CellWrite { .. } => one(1),
        Operation::AttributeWrite { .. } => one(2),
        Operation::ItemWrite { .. } => one(3),
        Operation::SliceWrite { .. } => one(4),
        Operation::MethodCall { first: Some(crate::plan::Place::Stack(first)), arguments, .. } => {
            let keyed = u32::from(access.key != NOTHING);
            (keyed..*arguments).map(|argument| flow.operand(index, first.saturating_sub(argument) as usize)).collect()
        }
        Operation::FunctionCall { first: crate::plan::Place::Stack(first), arguments, .. } => {
            // Behind the container, or behind the object and the attribute's name.
            let from = if access.space == crate::access::Space::Variable { 2 } else { 1 };
            (from..*arguments).map(|argument| flow.operand(index, first.saturating_sub(argument) as usize)).collect()
        }
        _ => Vec::new(),
    }
}
