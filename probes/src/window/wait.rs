//! Check-then-act without a branch that decides: a loop goes on until the check allows the act (`while busy: …`,
//! `busy = True`; `while True: if items: return items.pop()`). Two that wait for the same may both go on. Who ends the
//! wait is no conflict: that is what they wait for.

use super::fit::check_fits;
use super::{Finder, MOST_BLOCKS};
use crate::access::Access;
use crate::control::Side;
use crate::depend::Source;
use crate::flow::Value;
use crate::ident::{Ident, Thing};
use crate::instruction::NOWHERE;
use crate::opcode::Op;
use crate::plan::WindowKind;

impl Finder<'_, '_, '_> {
    pub(super) fn waits(&mut self, group: &[usize], index: usize, write: &Access) {
        let block = self.facts.flow.block(write.instruction as usize);
        let ancestors = self.facts.control.ancestors(block);
        let mut reads: Vec<(Ident, usize)> = Vec::new();
        for test in self.tests.clone() {
            if test == block || ancestors.iter().any(|(side, around)| !around && side.block == test) {
                continue;
            }
            for source in self.condition(test) {
                let read = source.access as usize;
                let Some(access) = self.facts.accesses.get(read).filter(|access| self.same(access, read, write)) else {
                    continue;
                };
                let sides = [true, false].map(|jump| Side { block: test, jump });
                let waits = |side: &Side| self.is_waited_for(*side, block) && self.allows(access, source, *side, write);
                if check_fits(access, write, self.facts.idents)
                    && sides.iter().any(waits)
                    && !self.is_shortcut(access, write)
                    && !self.loop_changes(group, test, block, index)
                {
                    reads.push((access.key, read));
                }
            }
        }
        self.windows_of(WindowKind::CheckThenAct, reads, group, index, write, true);
    }

    /// Blocks that end in a test which loops come back to.
    pub(super) fn tests_in_loops(&self) -> Vec<u32> {
        let count = self.facts.flow.blocks.len();
        if count > MOST_BLOCKS { Vec::new() } else { (0..count as u32).filter(|test| self.is_in_a_loop(*test)).collect() }
    }

    fn is_in_a_loop(&self, test: u32) -> bool {
        let Some(branch) = self.facts.flow.blocks.get(test as usize) else { return false };
        let two = branch.next != NOWHERE && branch.jump != NOWHERE;
        two && [branch.next, branch.jump].iter().any(|way| self.reaches(*way, NOWHERE, &|block| self.tests_the_same(test, block)))
    }

    /// That way leads to the write, and the other one nowhere but to the same test again.
    pub(super) fn is_waited_for(&self, side: Side, write: u32) -> bool {
        let Some(branch) = self.facts.flow.blocks.get(side.block as usize) else { return false };
        let (onwards, around) = if side.jump { (branch.jump, branch.next) } else { (branch.next, branch.jump) };
        let again = |block: u32| self.tests_the_same(side.block, block);
        onwards != around
            && around != write
            && self.reaches(around, write, &again)
            && self.reaches(onwards, NOWHERE, &|block| block == write)
            && !self.reaches_before(around, &again, write)
    }

    /// From there to `goal`, without passing one that is `again`?
    fn reaches_before(&self, from: u32, again: &dyn Fn(u32) -> bool, goal: u32) -> bool {
        self.around(from, again).any(|block| block == goal)
    }

    /// All blocks from there on, up to those that are `again`.
    fn around(&self, from: u32, again: &dyn Fn(u32) -> bool) -> impl Iterator<Item = u32> {
        self.onwards(from, move |block, _| !again(block))
    }

    /// Does the check say the same to all who make it, and does it allow the write on that side?
    fn allows(&self, read: &Access, source: Source, side: Side, write: &Access) -> bool {
        let Some((tested, _)) = self.tested(side) else { return false };
        self.says_the_same_to_all(tested, read) && self.counts(read, source, side, write)
    }

    /// It is tested itself, or compared with a constant, or with a limit beside it (`self.busy >= self.most`): not with what
    /// tells strands apart (`turn == me`).
    fn says_the_same_to_all(&self, tested: Value, read: &Access) -> bool {
        let flow = self.facts.flow;
        let output = flow.output(read.instruction as usize, 0);
        if tested == output || read.container == Some(tested) {
            return true;
        }
        let Some((at, maker)) = flow.maker(tested) else { return false };
        let sides = [flow.operand(at, 1), flow.operand(at, 2)];
        let constant = |value: Value| {
            let thing = self.facts.idents.thing(self.facts.idents.of(value));
            self.facts.idents.is_constant(value) || matches!(thing, Some(Thing::Small(_)))
        };
        let is_order = maker.op == Op::CompareOp && matches!(maker.arg >> flow.comparison_shift(), 0 | 1 | 4 | 5);
        let limit = |value: Value| is_order && value != output && self.lies_beside(value, read);
        matches!(maker.op, Op::CompareOp | Op::IsOp)
            && sides.contains(&output)
            && sides.iter().any(|side| constant(*side) || limit(*side))
    }

    /// Another attribute of the same object, or another global variable.
    fn lies_beside(&self, value: Value, read: &Access) -> bool {
        let idents = self.facts.idents;
        match (idents.thing(idents.of(value)), idents.thing(read.named)) {
            (Some(Thing::Attribute(one, _)), Some(Thing::Attribute(other, _))) => one == other,
            (Some(Thing::Global(_)), Some(_)) => true,
            _ => false,
        }
    }

    /// A loop that changes the subject itself does not wait.
    fn loop_changes(&self, group: &[usize], test: u32, write: u32, act: usize) -> bool {
        let Some(branch) = self.facts.flow.blocks.get(test as usize) else { return true };
        let again = |block: u32| block == write || self.tests_the_same(test, block);
        let ways = [branch.next, branch.jump].into_iter().filter(|way| !self.reaches_before(*way, &again, write));
        let body: Vec<u32> = ways.flat_map(|way| self.around(way, &again)).collect();
        group.iter().filter(|other| **other != act).any(|other| {
            let access = self.facts.accesses.get(*other).filter(|access| access.writes());
            access.is_some_and(|access| body.contains(&self.facts.flow.block(access.instruction as usize)))
        })
    }
}
