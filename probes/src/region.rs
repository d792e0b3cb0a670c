//! Which instructions lie between a window's reads and its write. It follows every way that control can take, exceptions
//! included, and gives up (no window) when a function is so large that this takes long.

use crate::flow::{Flow, raises};

/// The inside of a window.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Region {
    /// The reads after which no other of the reads is passed before the write.
    pub reads: Vec<u32>,
    /// Instructions strictly between reads and write, in the order of the code.
    pub inside: Vec<u32>,
    /// Every way from the function's entry to the write passes one of the reads.
    pub dominated: bool,
}

pub struct Regions<'a> {
    flow: &'a Flow,
    /// Raising instructions by the block of their handler, sorted.
    raisers: Vec<(u32, u32)>,
    /// By instruction: the round in which it was seen going back, and going forward, and in which it was a closer.
    back: Vec<u32>,
    forward: Vec<u32>,
    closer: Vec<u32>,
    round: u32,
    budget: usize,
}

impl<'a> Regions<'a> {
    #[must_use]
    pub fn new(flow: &'a Flow) -> Self {
        let mut raisers: Vec<(u32, u32)> = Vec::new();
        for index in 0..flow.list().len() {
            if flow.reached(index)
                && raises(flow, index)
                && let Some(handler) = flow.handler(index)
            {
                raisers.push((flow.block(handler.target as usize), index as u32));
            }
        }
        raisers.sort_unstable();
        let count = flow.list().len();
        Regions {
            flow,
            raisers,
            back: vec![0; count],
            forward: vec![0; count],
            closer: vec![0; count],
            round: 0,
            budget: 200 * count + 100_000,
        }
    }

    /// What lies between `reads` and `write`, on ways that pass none of `closers`. None if no read leads to the write, or
    /// the budget is spent.
    pub fn between(&mut self, reads: &[u32], closers: &[u32], write: u32) -> Option<Region> {
        self.round += 1;
        for closer in closers {
            *self.closer.get_mut(*closer as usize)? = self.round;
        }
        let mut region = Region { dominated: true, ..Region::default() };
        let mut work = Vec::new();
        region.dominated &= !self.predecessors(write, &mut work);
        while let Some(index) = work.pop() {
            let seen = self.back.get_mut(index as usize)?;
            let closed = index == write || self.closer.get(index as usize) == Some(&self.round);
            if std::mem::replace(seen, self.round) == self.round || closed || !self.flow.reached(index as usize) {
                continue;
            }
            self.budget = self.budget.checked_sub(1)?;
            if reads.contains(&index) {
                region.reads.push(index);
            } else {
                region.dominated &= !self.predecessors(index, &mut work);
            }
        }
        if region.reads.is_empty() {
            return None;
        }
        region.reads.sort_unstable();
        let mut work = Vec::new();
        region.reads.iter().for_each(|read| self.successors(*read, &mut work));
        while let Some(index) = work.pop() {
            let inside = index != write
                && self.back.get(index as usize) == Some(&self.round)
                && self.closer.get(index as usize) != Some(&self.round)
                && !region.reads.contains(&index);
            let seen = self.forward.get_mut(index as usize)?;
            if !inside || std::mem::replace(seen, self.round) == self.round {
                continue;
            }
            region.inside.push(index);
            self.successors(index, &mut work);
        }
        region.inside.sort_unstable();
        Some(region)
    }

    /// Adds the instructions that control comes from. Says whether the function's entry is one.
    fn predecessors(&self, index: u32, into: &mut Vec<u32>) -> bool {
        let block = self.flow.block(index as usize);
        let first = self.flow.blocks.get(block as usize).map_or(0, |block| block.first);
        if index != first {
            into.push(index - 1);
            return false;
        }
        let last = |block: &u32| self.flow.blocks.get(*block as usize).map(|block| block.end - 1);
        into.extend(self.flow.predecessors(block).iter().filter_map(last));
        let from = self.raisers.partition_point(|(handler, _)| *handler < block);
        into.extend(self.raisers.iter().skip(from).take_while(|(handler, _)| *handler == block).map(|(_, raiser)| *raiser));
        index == 0
    }

    fn successors(&self, index: u32, into: &mut Vec<u32>) {
        let Some(block) = self.flow.blocks.get(self.flow.block(index as usize) as usize) else { return };
        if index + 1 < block.end {
            into.push(index + 1);
        } else {
            into.extend(block.successors().filter_map(|next| self.flow.blocks.get(next).map(|next| next.first)));
        }
        if raises(self.flow, index as usize)
            && let Some(handler) = self.flow.handler(index as usize)
        {
            into.push(handler.target);
        }
    }
}
