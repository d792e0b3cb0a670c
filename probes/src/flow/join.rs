//! Joins states where control joins, and keeps the list of blocks that must be run again. It runs none.

use super::{Flow, MOST_JOINED, MOST_STATE, MOST_VALUES, Phi, Value};
use crate::plan::PlanError;

/// Blocks whose entry state changed since they were run.
pub(super) struct Work {
    pub reached: Vec<bool>,
    dirty: Vec<bool>,
    at: usize,
    pending: usize,
    state_size: usize,
    pub settled: bool,
    pub scratch: Vec<Value>,
}

impl Work {
    pub fn new(blocks: usize) -> Work {
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
    pub fn next(&mut self) -> Option<usize> {
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
    pub fn join(&mut self, flow: &mut Flow, block: usize, values: &[Value], setups: u32) -> Result<(), PlanError> {
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
                    if new != known && !phi.operands.contains(new) && phi.operands.len() < MOST_JOINED {
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
