//! Which branches decide whether a block runs (control dependence, after Ferrante, Ottenstein and Warren, "The program
//! dependence graph and its use in optimization", 1987). Exceptions do not count as branches here.

use crate::block::Block;
use crate::flow::Flow;

/// A block that ends in a branch, and the way taken: `jump` or straight on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Side {
    pub block: u32,
    pub jump: bool,
}

#[derive(Debug, Clone, Default)]
pub struct Control {
    /// By block: the branches that immediately decide whether it runs.
    parents: Vec<Vec<Side>>,
    /// By block: its place in reverse post-order; blocks behind in it are reached later, unless by a loop.
    order: Vec<u32>,
}

const NONE: u32 = u32::MAX;

impl Control {
    /// The control of a function: entered by its first block, and by its handlers.
    #[must_use]
    pub fn of(flow: &Flow) -> Control {
        let handlers = flow.handlers.iter().map(|handler| flow.block(handler.target as usize)).filter(|block| *block != NONE);
        let mut roots: Vec<u32> = handlers.collect();
        roots.sort_unstable();
        roots.dedup();
        roots.retain(|root| *root != 0);
        roots.insert(0, 0);
        Control::new(&flow.blocks, &roots)
    }

    /// `roots` are the blocks that control enters by: the first, and the handlers.
    #[must_use]
    pub fn new(blocks: &[Block], roots: &[u32]) -> Control {
        // What a handler alone reaches comes before the rest, which it may lead back into: an await has one for `throw`.
        let entered: Vec<u32> = roots.iter().rev().copied().collect();
        let order = post_order(blocks.len(), &entered, |block| successors(blocks, block));
        let mut position = vec![NONE; blocks.len()];
        for (place, block) in order.iter().rev().enumerate() {
            set(&mut position, *block, place as u32);
        }
        let after = post_dominators(blocks, &order);
        Control { parents: parents(blocks, &after, &position), order: position }
    }

    /// The branches that immediately decide whether `block` runs.
    #[must_use]
    pub fn parents(&self, block: u32) -> &[Side] {
        self.parents.get(block as usize).map_or(&[], Vec::as_slice)
    }

    /// Does control pass from `from` to `to` without going around a loop, as far as their order tells?
    #[must_use]
    pub fn forward(&self, from: u32, to: u32) -> bool {
        let place = |block: u32| self.order.get(block as usize).copied().unwrap_or(NONE);
        place(from) < place(to)
    }

    /// All branches that decide, directly or through others, whether `block` runs, nearest first. A branch further on in
    /// the order, which decides only about a next turn of a loop, is told by the flag and not followed.
    #[must_use]
    pub fn ancestors(&self, block: u32) -> Vec<(Side, bool)> {
        let mut found: Vec<(Side, bool)> = Vec::new();
        let mut work = vec![block];
        let mut at = 0;
        while let Some(&block) = work.get(at) {
            at += 1;
            for side in self.parents(block) {
                let around = !self.forward(side.block, block);
                if found.len() >= MOST_ANCESTORS || found.iter().any(|(known, _)| known == side) {
                    continue;
                }
                found.push((*side, around));
                if !around && !work.contains(&side.block) {
                    work.push(side.block);
                }
            }
        }
        found
    }
}

/// Deeper nesting than this is not followed.
const MOST_ANCESTORS: usize = 64;

fn successors(blocks: &[Block], block: u32) -> impl Iterator<Item = u32> + use<> {
    let next = blocks.get(block as usize).map(|block| [block.next, block.jump]);
    next.into_iter().flatten().filter(|block| *block != NONE)
}

fn get(list: &[u32], index: u32) -> u32 {
    list.get(index as usize).copied().unwrap_or(NONE)
}

fn set(list: &mut [u32], index: u32, value: u32) {
    if let Some(entry) = list.get_mut(index as usize) {
        *entry = value;
    }
}

/// Post-order of what `roots` reach, the last root first. Without recursion: code may be deep.
fn post_order<I: Iterator<Item = u32>>(count: usize, roots: &[u32], successors: impl Fn(u32) -> I) -> Vec<u32> {
    let mut seen = vec![false; count];
    let mut order = Vec::with_capacity(count);
    let mut stack: Vec<(u32, I)> = Vec::new();
    let mut enter = |block: u32| seen.get_mut(block as usize).is_some_and(|seen| !std::mem::replace(seen, true));
    for root in roots.iter().rev() {
        if !enter(*root) {
            continue;
        }
        stack.push((*root, successors(*root)));
        while let Some((block, rest)) = stack.last_mut() {
            match rest.next() {
                Some(next) if enter(next) => stack.push((next, successors(next))),
                Some(_) => {}
                None => {
                    order.push(*block);
                    stack.pop();
                }
            }
        }
    }
    order
}

/// By block: the nearest block that every way from it to the function's end passes ([`NONE`]: the end itself). After
/// Cooper, Harvey and Kennedy, "A simple, fast dominance algorithm", on the reversed graph.
fn post_dominators(blocks: &[Block], order: &[u32]) -> Vec<u32> {
    let count = blocks.len();
    let mut before: Vec<Vec<u32>> = vec![Vec::new(); count];
    for block in order {
        for next in successors(blocks, *block) {
            if let Some(before) = before.get_mut(next as usize) {
                before.push(*block);
            }
        }
    }
    // Ends, then for endless loops whatever is left, latest in the code's order first.
    let mut roots: Vec<u32> = order.iter().copied().filter(|block| successors(blocks, *block).next().is_none()).collect();
    let mut is_root = vec![false; count];
    let predecessors = |block: u32| before.get(block as usize).map_or(&[][..], Vec::as_slice).iter().copied();
    let mut reversed = post_order(count, &roots, predecessors);
    if reversed.len() < order.len() {
        let mut reached = vec![false; count];
        reversed.iter().for_each(|block| reached[*block as usize] = true);
        for block in order {
            if reached.get(*block as usize) == Some(&false) {
                roots.push(*block);
                let mut work = vec![*block];
                while let Some(block) = work.pop() {
                    if reached.get_mut(block as usize).is_some_and(|reached| !std::mem::replace(reached, true)) {
                        work.extend(predecessors(block));
                    }
                }
            }
        }
        reversed = post_order(count, &roots, predecessors);
    }
    for root in &roots {
        if let Some(is_root) = is_root.get_mut(*root as usize) {
            *is_root = true;
        }
    }
    // The end has number `count`, above all others.
    let mut number = vec![NONE; count];
    for (place, block) in reversed.iter().enumerate() {
        set(&mut number, *block, place as u32);
    }
    let end = count as u32;
    let mut dominator = vec![NONE; count];
    let mut rounds = 0;
    loop {
        let mut changed = false;
        for block in reversed.iter().rev() {
            let mut new = if is_root.get(*block as usize) == Some(&true) { end } else { NONE };
            for next in successors(blocks, *block) {
                let known = get(&dominator, next) != NONE;
                if known {
                    new = if new == NONE { next } else { meet(&dominator, &number, end, new, next) };
                }
            }
            if new != NONE && get(&dominator, *block) != new {
                set(&mut dominator, *block, new);
                changed = true;
            }
        }
        rounds += 1;
        if !changed || rounds > 40 {
            break;
        }
    }
    dominator.iter().map(|block| if *block == end { NONE } else { *block }).collect()
}

/// The nearest common post-dominator.
fn meet(dominator: &[u32], number: &[u32], end: u32, mut one: u32, mut other: u32) -> u32 {
    let place = |block: u32| if block == end { NONE } else { get(number, block) };
    while one != other {
        if one == end || other == end {
            return end;
        }
        if place(one) < place(other) {
            one = get(dominator, one);
        } else {
            other = get(dominator, other);
        }
        if one == NONE || other == NONE {
            return end;
        }
    }
    one
}

fn parents(blocks: &[Block], after: &[u32], position: &[u32]) -> Vec<Vec<Side>> {
    let mut parents: Vec<Vec<Side>> = vec![Vec::new(); blocks.len()];
    // Nested loops can make this quadratic; enough is enough.
    let mut budget = 20 * blocks.len() + 4096;
    for (index, block) in blocks.iter().enumerate() {
        if block.next == NONE || block.jump == NONE || block.next == block.jump || get(position, index as u32) == NONE {
            continue;
        }
        for (target, jump) in [(block.next, false), (block.jump, true)] {
            let mut runner = target;
            while runner != NONE && runner != get(after, index as u32) {
                let Some(list) = parents.get_mut(runner as usize) else { break };
                list.push(Side { block: index as u32, jump });
                let Some(left) = budget.checked_sub(1) else { return parents };
                budget = left;
                runner = get(after, runner);
            }
        }
    }
    parents
}
