//! The windows of one function: which write depends on which reads of the same subject, by the value it stores or by the
//! branches that lead to it. It knows no other function.

use crate::access::{Access, Space};
use crate::block::Block;
use crate::code::{Code, Const};
use crate::control::{Control, Side};
use crate::depend::{self, Dependence, Source};
use crate::flow::{Flow, Value};
use crate::handler::Handlers;
use crate::ident::{Ident, Idents, NOTHING, Thing};
use crate::instruction::NOWHERE;
use crate::method::Touch;
use crate::opcode::Op;
use crate::path::Paths;
use crate::plan::{Operation, Window, WindowKind};
use crate::region::Regions;
use crate::switch::Switches;
use crate::version::Version;

/// Loops of more blocks than this are not followed around.
const MOST_BLOCKS: usize = 256;

/// Of subjects written more often than this in one function, writes in between are not looked at.
const MOST_CLOSERS: usize = 256;

/// What is known about a function before windows are looked for.
pub struct Facts<'a> {
    pub code: &'a Code,
    pub version: Version,
    pub flow: &'a Flow,
    pub control: &'a Control,
    pub idents: &'a Idents,
    pub accesses: &'a [Access],
    /// By access: its container never leaves the function.
    pub own: &'a [bool],
}

/// All windows, by the offset of their write, and for each access whether it is a part of one.
#[must_use]
pub fn find(facts: &Facts<'_>, dependence: &mut Dependence<'_>) -> (Vec<Window>, Vec<bool>) {
    let count = facts.accesses.len();
    let mut finder = Finder {
        facts,
        dependence,
        handlers: Handlers::new(facts),
        regions: Regions::new(facts.flow),
        conditions: vec![None; facts.flow.blocks.len()],
        windows: Vec::new(),
        taken: vec![false; count],
    };
    let mut order: Vec<usize> = (0..count).filter(|access| facts.own.get(*access) != Some(&true)).collect();
    let group = |index: &usize| facts.accesses.get(*index).map(|access| (access.space, access.subject));
    order.sort_by_key(group);
    for group in order.chunk_by(|one, other| group(one) == group(other)) {
        finder.group(group);
    }
    finder.windows.sort_by_key(|window| (window.write, window.kind, window.reads.first().copied()));
    (finder.windows, finder.taken)
}

struct Finder<'a, 'b, 'c> {
    facts: &'a Facts<'a>,
    dependence: &'b mut Dependence<'c>,
    handlers: Handlers,
    regions: Regions<'a>,
    /// By block: what the branch at its end depends on, once asked.
    conditions: Vec<Option<Vec<Source>>>,
    windows: Vec<Window>,
    taken: Vec<bool>,
}

impl Finder<'_, '_, '_> {
    /// Accesses to one subject.
    fn group(&mut self, group: &[usize]) {
        let accesses = self.facts.accesses;
        let has_reads = group.iter().any(|index| accesses.get(*index).is_some_and(Access::reads));
        if !has_reads {
            return;
        }
        for index in group {
            let Some(write) = accesses.get(*index).filter(|access| access.writes()) else { continue };
            self.modifies(*index, write);
            self.acts(group, *index, write);
            self.selects(*index, write);
        }
    }

    /// Read-modify-write: the stored value depends on reads.
    fn modifies(&mut self, index: usize, write: &Access) {
        let stored = depend::stored(self.facts.flow, write);
        if stored.is_empty() {
            return;
        }
        let mut reads: Vec<(Ident, usize)> = Vec::new();
        for source in self.dependence.sources(stored) {
            let read = source.access as usize;
            if let Some(access) = self.facts.accesses.get(read).filter(|access| self.same(access, read, write))
                && modify_fits(access, write)
            {
                reads.push((access.key, read));
            }
        }
        self.windows_of(WindowKind::ReadModifyWrite, reads, &[], index, write);
    }

    /// Check-then-act: branches that depend on reads lead to the write.
    fn acts(&mut self, group: &[usize], index: usize, write: &Access) {
        let block = self.facts.flow.block_of.get(write.instruction as usize).copied().unwrap_or(NOWHERE);
        let ancestors = self.facts.control.ancestors(block);
        let mut reads: Vec<(Ident, usize)> = Vec::new();
        for (side, around) in &ancestors {
            let empty = self.facts.flow.enters_loop(*side) || self.asserts(*side);
            if empty || (*around && !self.has_twin(&ancestors, *side)) {
                continue;
            }
            for source in self.condition(side.block) {
                let read = source.access as usize;
                let Some(access) = self.facts.accesses.get(read).filter(|access| self.same(access, read, write)) else {
                    continue;
                };
                if check_fits(access, write) && self.counts(access, source, *side, write) {
                    reads.push((access.key, read));
                }
            }
        }
        for read in self.handlers.failed_reads(self.facts, &ancestors, block) {
            let access = self.facts.accesses.get(read).filter(|access| self.same(access, read, write));
            if access.is_some_and(|access| access.space == Space::Variable || access.key == write.key) {
                reads.push((access.map_or(NOTHING, |access| access.key), read));
            }
        }
        self.windows_of(WindowKind::CheckThenAct, reads, group, index, write);
    }

    /// Check-then-act without a branch: which item is removed or overwritten was found out by looking at all of them
    /// (`del d[next(iter(d))]`, `q.remove(min(q))`, `l[l.index(x)] = y`).
    fn selects(&mut self, index: usize, write: &Access) {
        let keys = depend::selected(self.facts.flow, write);
        if keys.is_empty() || write.space == Space::Variable {
            return;
        }
        let mut reads: Vec<(Ident, usize)> = Vec::new();
        for source in self.dependence.sources(keys).into_iter().filter(|source| source.element_of == NOWHERE) {
            let read = source.access as usize;
            let Some(access) = self.facts.accesses.get(read).filter(|access| self.same(access, read, write)) else { continue };
            let looks = match access.operation {
                Operation::FunctionCall { function, .. } => function != "len" || write.touch != Touch::Remove,
                Operation::MethodCall { method, .. } => method == "index",
                _ => false,
            };
            if looks && access.instruction != write.instruction && access.owners & write.owners != 0 {
                reads.push((NOTHING, read));
            }
        }
        self.windows_of(WindowKind::CheckThenAct, reads, &[], index, write);
    }

    /// Is the other way of the branch the failure of an `assert`?
    fn asserts(&self, side: Side) -> bool {
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

    /// Other writes of the same item or variable, which end what a check said about it. Counting checks go on.
    fn closers(&self, group: &[usize], key: Ident, write: &Access) -> Vec<u32> {
        if group.len() > MOST_CLOSERS || (write.space == Space::Container && key == NOTHING) {
            return Vec::new();
        }
        let writes = group.iter().filter_map(|index| self.facts.accesses.get(*index));
        let same = writes.filter(|access| access.writes() && access.key == key && access.instruction != write.instruction);
        same.map(|access| access.instruction).collect()
    }

    /// One window for each key that is read: a later check of the same key replaces an earlier one.
    fn windows_of(&mut self, kind: WindowKind, mut reads: Vec<(Ident, usize)>, group: &[usize], index: usize, write: &Access) {
        reads.sort_unstable();
        reads.dedup();
        for same in reads.chunk_by(|one, other| one.0 == other.0) {
            let instructions: Vec<u32> = same.iter().filter_map(|(_, read)| self.instruction(*read)).collect();
            let key = same.first().map_or(NOTHING, |(key, _)| *key);
            let closers = self.closers(group, key, write);
            let Some(region) = self.regions.between(&instructions, &closers, write.instruction) else { continue };
            let whole = write.space == Space::Container && key == NOTHING;
            let named = if whole { write.subject } else { write.named };
            let Facts { code, flow, idents, version, .. } = *self.facts;
            let (switch, suspends) = Switches { code, flow, idents, version }.inside(&region, write.instruction);
            for (_, read) in same {
                if self.instruction(*read).is_some_and(|read| region.reads.contains(&read)) {
                    self.take(*read);
                }
            }
            self.take(index);
            self.windows.push(Window {
                kind,
                reads: region.reads.iter().map(|read| self.offset(*read)).collect(),
                write: self.offset(write.instruction),
                path: Paths { code, flow, idents }.ident(named),
                dominated: region.dominated,
                switch,
                suspends,
            });
        }
    }

    fn same(&self, read: &Access, index: usize, write: &Access) -> bool {
        read.space == write.space && read.subject == write.subject && self.facts.own.get(index) != Some(&true)
    }

    fn take(&mut self, access: usize) {
        if let Some(taken) = self.taken.get_mut(access) {
            *taken = true;
        }
    }

    fn instruction(&self, access: usize) -> Option<u32> {
        self.facts.accesses.get(access).map(|access| access.instruction)
    }

    fn offset(&self, instruction: u32) -> u32 {
        self.facts.flow.list().get(instruction as usize).map_or(0, |instruction| instruction.offset)
    }

    /// What the branch at the end of a block depends on.
    fn condition(&mut self, block: u32) -> Vec<Source> {
        if let Some(Some(known)) = self.conditions.get(block as usize) {
            return known.clone();
        }
        let mut sources = self.dependence.sources(self.facts.flow.condition(block));
        if let Some(last) = self.facts.flow.blocks.get(block as usize).and_then(|block| block.end.checked_sub(1)) {
            // The branch may itself be the read, of its operand's truth.
            sources.extend(self.dependence.reads_at(last as usize).map(|access| Source { access, element_of: NOWHERE }));
        }
        if let Some(entry) = self.conditions.get_mut(block as usize) {
            *entry = Some(sources.clone());
        }
        sources
    }

    /// The compiler tests a loop's condition before the loop and again at its end: is `side` the latter?
    fn has_twin(&self, ancestors: &[(Side, bool)], side: Side) -> bool {
        let tested = |block| self.facts.flow.condition(block).map_or(NOTHING, |value| self.facts.idents.of(value));
        let own = tested(side.block);
        own != NOTHING && ancestors.iter().any(|(other, around)| !around && tested(other.block) == own)
    }

    /// Does this check of `read`, with this outcome, make `write` depend on what others do?
    fn counts(&self, read: &Access, source: Source, side: Side, write: &Access) -> bool {
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
    fn tested(&self, side: Side) -> Option<(Value, bool)> {
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
        let mut truth = jumps_if == side.jump;
        let mut value = flow.operand(last, 1);
        for _ in 0..4 {
            let Some((at, maker)) = flow.maker(value) else { break };
            match maker.op {
                Op::ToBool => value = flow.operand(at, 1),
                Op::UnaryNot => (value, truth) = (flow.operand(at, 1), !truth),
                Op::IsOp if self.is_none(flow.operand(at, 1)) => {
                    let is_none = truth == (maker.arg == 0);
                    return is_none.then(|| (flow.operand(at, 2), false));
                }
                _ => break,
            }
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
    fn stored_truth(&self, write: &Access) -> Option<bool> {
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
        let from = self.facts.flow.block_of.get(write as usize).copied().unwrap_or(NOWHERE);
        let same_test = |block: u32| {
            let tested = |block| self.facts.flow.condition(block).map(|value| self.facts.idents.of(value));
            block == side.block || tested(block).is_some_and(|ident| ident != NOTHING && Some(ident) == tested(side.block))
        };
        self.reaches(from, &same_test) && !self.reaches(other, &same_test)
    }

    fn reaches(&self, from: u32, goal: &dyn Fn(u32) -> bool) -> bool {
        let mut seen = vec![from as usize];
        let mut at = 0;
        while let Some(block) = seen.get(at).copied() {
            at += 1;
            if goal(block as u32) {
                return true;
            }
            for next in self.facts.flow.blocks.get(block).into_iter().flat_map(Block::successors) {
                if seen.len() < MOST_BLOCKS && !seen.contains(&next) {
                    seen.push(next);
                }
            }
        }
        false
    }
}

/// Can a write whose value depends on `read` lose what others wrote since?
fn modify_fits(read: &Access, write: &Access) -> bool {
    if read.owners & write.owners == 0 {
        return false;
    }
    if read.instruction == write.instruction {
        return false;
    }
    if write.space == Space::Variable {
        return true;
    }
    if matches!(write.operation, Operation::InPlace { .. }) || write.touch == Touch::Remove {
        return false;
    }
    let is_call = matches!(write.operation, Operation::MethodCall { .. } | Operation::FunctionCall { .. });
    if is_call && read.touch == Touch::Remove {
        // What was taken out and is put back was nobody else's in between.
        return false;
    }
    match (read.key != NOTHING, write.key != NOTHING) {
        (true, true) => read.key == write.key,
        (true, false) => true,
        // An id made of the size.
        (false, true) => read.touch == Touch::Read && !matches!(read.operation, Operation::Truth { .. }),
        (false, false) => match read.operation {
            Operation::IterBegin { .. } => write.touch == Touch::Replace,
            Operation::Truth { .. } => false,
            _ => read.touch != Touch::View,
        },
    }
}

/// Does the outcome of `read` say something about what `write` changes?
fn check_fits(read: &Access, write: &Access) -> bool {
    if read.owners & write.owners == 0 {
        return false;
    }
    if read.instruction == write.instruction {
        return false;
    }
    if write.space == Space::Variable {
        return true;
    }
    if read.key == NOTHING {
        return !matches!(read.touch, Touch::Remove | Touch::View);
    }
    let searched = matches!(read.operation, Operation::Contains { .. } | Operation::MethodCall { .. });
    read.key == write.key
        || write.touch == Touch::Replace
        || (searched && read.touch == Touch::Read && write.key == NOTHING && write.touch == Touch::Insert)
        || (searched && matches!(write.operation, Operation::InPlace { .. } | Operation::MethodCall { method: "update", .. }))
}
