//! Writes that are made only where something still is what it was before (compare and set; optimistic versions): whatever
//! was read back then, the comparison has to be kept together with the write, and nothing else. That is a window of its own.

use super::Finder;
use crate::access::Access;
use crate::control::Side;
use crate::depend;
use crate::flow::{Definition, Value};
use crate::ident::Ident;
use crate::opcode::Op;

/// The access that looks again, and what it is compared with.
pub(super) struct Confirmation {
    again: usize,
    known: Value,
    /// Where it is not so, a loop tries again: no branch decides about the write.
    loops: bool,
}

/// How many joins of ways a value is followed through.
const LONGEST_WAY: usize = 3;

impl Finder<'_, '_, '_> {
    pub(super) fn confirmations(&self, write: &Access) -> Vec<Confirmation> {
        let block = self.facts.flow.block(write.instruction as usize);
        let stored = depend::stored(self.facts.flow, write);
        let ancestors = self.facts.control.ancestors(block);
        let decide = ancestors.into_iter().filter(|(_, around)| !around).map(|(side, _)| (side, false));
        let tests = self.tests.iter().flat_map(|test| [true, false].map(|jump| Side { block: *test, jump }));
        let wait = tests.filter(|side| side.block != block && self.is_waited_for(*side, block)).map(|side| (side, true));
        let mut found = Vec::new();
        for (side, loops) in decide.chain(wait) {
            let Some((tested, truth)) = self.tested(side) else { continue };
            let Some(at) = self.is_equality(tested, truth) else { continue };
            let sides = [self.facts.flow.operand(at, 1), self.facts.flow.operand(at, 2)];
            for (fresh, known) in [(sides[0], sides[1]), (sides[1], sides[0])] {
                let plain = !stored.contains(&known) && !self.facts.idents.is_constant(known);
                found.extend(self.read_of(fresh).filter(|_| plain).map(|again| Confirmation { again, known, loops }));
            }
        }
        found
    }

    /// The comparison that makes a value which is `truth` where both sides are equal, or the same.
    fn is_equality(&self, value: Value, truth: bool) -> Option<usize> {
        let (at, maker) = self.facts.flow.maker(value)?;
        let equal = match maker.op {
            Op::IsOp => maker.arg == 0,
            // 3.8: `is` and `is not` are comparisons.
            Op::CompareOp => match maker.arg >> self.facts.flow.comparison_shift() {
                2 | 8 => true,
                3 | 9 => false,
                _ => return None,
            },
            _ => return None,
        };
        (equal == truth).then_some(at)
    }

    fn read_of(&self, value: Value) -> Option<usize> {
        let (at, _) = self.facts.flow.maker(value)?;
        self.dependence.reads_at(at).next().map(|access| access as usize)
    }

    /// Leaves out reads that were confirmed, or before which something was read that tells whether they still hold.
    pub(super) fn without_confirmed(&self, reads: &mut Vec<(Ident, usize)>, write: &Access) {
        let confirmations = if reads.is_empty() { Vec::new() } else { self.confirmations(write) };
        for confirmation in confirmations {
            let before = reads.len();
            reads.retain(|(_, read)| !self.is_confirmed(&confirmation, *read));
            let again = self.facts.accesses.get(confirmation.again);
            if let Some(again) = again.filter(|again| confirmation.loops && self.same(again, confirmation.again, write))
                && reads.len() < before
            {
                reads.push((again.key, confirmation.again));
            }
        }
    }

    fn is_confirmed(&self, Confirmation { again, known, .. }: &Confirmation, read: usize) -> bool {
        let accesses = self.facts.accesses;
        let (Some(again), Some(read)) = (accesses.get(*again), accesses.get(read)) else { return false };
        self.may_be(*known, LONGEST_WAY, &|before: &Access| {
            let same = (before.space, before.subject, before.key) == (again.space, again.subject, again.key);
            same && before.instruction <= read.instruction && read.instruction < again.instruction
        })
    }

    /// Is a value the result of such a read, on some way to where it is used? A `with` block that may keep an exception to
    /// itself makes another way behind it.
    fn may_be(&self, value: Value, further: usize, wanted: &dyn Fn(&Access) -> bool) -> bool {
        match (self.facts.flow.definition(value), further.checked_sub(1)) {
            (Definition::Phi(phi), Some(further)) => {
                let phi = self.facts.flow.phis.get(phi as usize);
                phi.is_some_and(|phi| phi.operands.iter().any(|value| self.may_be(*value, further, wanted)))
            }
            _ => self.read_of(value).and_then(|read| self.facts.accesses.get(read)).is_some_and(wanted),
        }
    }

    /// Is it compared with what a caller has passed, who has read it before?
    pub(super) fn is_confirmed_for_callers(&self, write: &Access) -> bool {
        let passed = |known: Value| matches!(self.facts.flow.definition(known), Definition::Slot(_));
        self.confirmations(write).iter().any(|confirmation| passed(confirmation.known))
    }
}
