//! Stacks by their numbers, which a source counts up. The last ones are kept, more than a source knows of before it counts
//! on and defines them anew. What a stack's frames are is not known here.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::StackEntry;
use crate::event::StackId;

/// Stacks that are kept.
const MOST: usize = 1 << 18;
/// A number that is further than this beyond the others' is none that was counted up to.
const FAR: usize = 1 << 16;

#[derive(Debug, Default)]
pub struct Stacks {
    /// The number of the first entry.
    first: u32,
    entries: VecDeque<Option<StackEntry>>,
    /// Stacks with numbers far from the others'.
    sparse: FxHashMap<StackId, StackEntry>,
}

impl Stacks {
    #[inline]
    pub fn get(&self, id: StackId) -> Option<StackEntry> {
        match id.0.checked_sub(self.first).and_then(|index| self.entries.get(index as usize)) {
            Some(Some(entry)) => Some(*entry),
            _ if self.sparse.is_empty() => None,
            _ => self.sparse.get(&id).copied(),
        }
    }

    pub fn define(&mut self, id: StackId, entry: StackEntry) {
        if self.entries.is_empty() {
            self.first = id.0;
        }
        let index = id.0.checked_sub(self.first).map(|index| index as usize);
        let Some(index) = index.filter(|index| *index <= self.entries.len() + FAR) else {
            if self.sparse.len() >= MOST {
                self.sparse.clear();
            }
            self.sparse.insert(id, entry);
            return;
        };
        if index >= self.entries.len() {
            self.entries.resize(index + 1, None);
        }
        if let Some(slot) = self.entries.get_mut(index) {
            *slot = Some(entry);
        }
        while self.entries.len() > MOST {
            self.entries.pop_front();
            self.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(site: u32) -> StackEntry {
        StackEntry { parent: StackId(0), site, in_span: false, in_poll: false }
    }

    #[test]
    fn the_last_ones_are_kept_wherever_the_numbers_begin() {
        for begin in [1, 70_000_000] {
            let mut stacks = Stacks::default();
            let all = begin..begin + 2 * MOST as u32;
            all.clone().for_each(|number| stacks.define(StackId(number), entry(number)));
            assert_eq!(stacks.entries.len(), MOST);
            assert!(stacks.sparse.is_empty());
            assert_eq!(stacks.get(StackId(all.end - 1)).map(|entry| entry.site), Some(all.end - 1));
            assert!(stacks.get(StackId(all.start)).is_none() && stacks.get(StackId(all.end)).is_none());
        }
    }

    #[test]
    fn numbers_without_order_are_found_too_and_take_no_memory_for_what_lies_between() {
        let mut stacks = Stacks::default();
        let numbers = [5, 4_000_000_000, 3, 6];
        numbers.iter().for_each(|number| stacks.define(StackId(*number), entry(*number)));
        assert!(numbers.iter().all(|number| stacks.get(StackId(*number)).is_some_and(|entry| entry.site == *number)));
        assert!(stacks.entries.len() < 10 && stacks.get(StackId(4)).is_none());
    }
}
