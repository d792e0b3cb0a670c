//! Check-then-act without a branch: a loop waits until a flag is down (or up), and what follows turns it. Two that wait
//! for the same flag may both go on. Who turns it back for them is no conflict: that is what they wait for.

use super::Finder;
use crate::access::{Access, Space};
use crate::control::Side;
use crate::ident::{Ident, NOTHING};
use crate::instruction::NOWHERE;
use crate::plan::WindowKind;

impl Finder<'_, '_, '_> {
    pub(super) fn waits(&mut self, group: &[usize], index: usize, write: &Access) {
        if write.space != Space::Variable {
            return;
        }
        let Some(stored) = self.stored_truth(write) else { return };
        let block = self.facts.flow.block_of.get(write.instruction as usize).copied().unwrap_or(NOWHERE);
        let ancestors = self.facts.control.ancestors(block);
        let mut reads: Vec<(Ident, usize)> = Vec::new();
        for read in group.iter().copied() {
            let Some(access) = self.facts.accesses.get(read).filter(|access| self.same(access, read, write)) else { continue };
            let at = self.facts.flow.block_of.get(access.instruction as usize).copied().unwrap_or(NOWHERE);
            let left = [true, false].into_iter().map(|jump| Side { block: at, jump });
            let decides = |side: &Side| ancestors.iter().any(|(other, around)| !around && other.block == side.block);
            let mut waited = left.filter(|side| !decides(side) && self.is_left(*side, access, !stored, block));
            if waited.next().is_some() {
                reads.push((NOTHING, read));
            }
        }
        self.windows_of(WindowKind::CheckThenAct, reads, group, index, write, true);
    }

    /// Is the loop, whose test `read` is, left by that side when what it read is as true as that; towards `write`?
    fn is_left(&self, side: Side, read: &Access, truth: bool, write: u32) -> bool {
        let output = self.facts.flow.output(read.instruction as usize, 0);
        if self.tested(side) != Some((output, truth)) {
            return false;
        }
        let Some(branch) = self.facts.flow.blocks.get(side.block as usize) else { return false };
        let (onwards, around) = if side.jump { (branch.jump, branch.next) } else { (branch.next, branch.jump) };
        let again = |block: u32| self.tests_the_same(side.block, block);
        around != write && self.reaches(around, write, &again) && self.reaches(onwards, NOWHERE, &|block| block == write)
    }
}
