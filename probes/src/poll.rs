//! Loops that wait for what others store: which reads decide that such a loop is left, themselves or in functions that it
//! calls for them. Who leaves it by what was stored comes after whoever stored it. Loops that change what they test do not
//! wait for it. What is stored, and by whom, is not known here.

use crate::access::Access;
use crate::block::Block;
use crate::call::calls;
use crate::control::Side;
use crate::depend::Dependence;
use crate::instruction::NOWHERE;
use crate::method::Touch;
use crate::opcode::Op;
use crate::plan::{Operation, Poll};
use crate::rescue;
use crate::window::Facts;

/// Functions of more blocks than this are not searched.
const MOST_BLOCKS: usize = 1024;
/// More of one function are not of interest.
const MOST_POLLS: usize = 64;
/// Blocks around a read that is made again when it fails.
const MOST_TRIED: usize = 128;

/// What a read raises of something that is not there.
const NOT_THERE: &[&str] = &["KeyError", "IndexError", "LookupError", "AttributeError"];

/// The blocks of a loop, in order; the one that it is entered by.
struct Loop {
    header: u32,
    body: Vec<u32>,
}

/// By offset of the read or call.
#[must_use]
pub fn find(facts: &Facts<'_>, dependence: &mut Dependence<'_>) -> Vec<Poll> {
    let mut found: Vec<Poll> = Vec::new();
    for turns in loops(facts) {
        let tests = turns.tests(facts);
        let inside = turns.offsets(facts);
        let read = tests.iter().flat_map(|test| polled(facts, dependence, &turns, &tests, *test));
        found.extend(read.map(|read| Poll { read, inside: inside.clone() }));
    }
    found.extend(facts.accesses.iter().filter_map(|read| tried_again(facts, dependence, read)));
    // Of loops around each other the inner one is left first.
    let size = |poll: &Poll| poll.inside.iter().map(|(first, end)| end - first).sum::<u32>();
    found.sort_by_key(|poll| (poll.read, size(poll)));
    found.dedup_by_key(|poll| poll.read);
    found.truncate(MOST_POLLS);
    found
}

/// A read that is made again whenever it fails: `while True: try: x = d[k] … except KeyError: sleep(1)`. Taking something
/// out is one, too.
fn tried_again(facts: &Facts<'_>, dependence: &mut Dependence<'_>, read: &Access) -> Option<Poll> {
    let takes = matches!(read.operation, Operation::MethodCall { .. }) && read.touch == Touch::Remove;
    let looks = takes || matches!(read.operation, Operation::ItemRead { .. } | Operation::AttributeRead { .. });
    let handler = facts.flow.handler(read.instruction as usize).filter(|_| looks)?.target;
    if !rescue::catches(facts.code, facts.flow, handler as usize, NOT_THERE) {
        return None;
    }
    let here = facts.flow.block(read.instruction as usize);
    let before = all_from(here, |block| facts.flow.predecessors(block).to_vec())?;
    let successors = |block: u32| {
        let found = facts.flow.blocks.get(block as usize).filter(|_| block != here);
        found.into_iter().flat_map(Block::successors).map(|next| next as u32).collect()
    };
    let after = all_from(facts.flow.block(handler as usize), successors)?;
    let mut body: Vec<u32> = before.into_iter().filter(|block| after.contains(block)).collect();
    body.sort_unstable();
    let turns = Loop { header: here, body };
    if !turns.has(here) || turns.changes(facts, read) || turns.searches(facts, dependence, read.instruction) {
        return None;
    }
    let (place, ends) = (offset(facts, read.instruction)?, facts.flow.list().get(read.instruction as usize)?.end);
    // What comes right behind it comes after it.
    let cut = |(first, end): (u32, u32)| if (first..end).contains(&place) { (first, ends) } else { (first, end) };
    Some(Poll { read: place, inside: turns.offsets(facts).into_iter().map(cut).collect() })
}

/// A block and all that can be come to from there; nothing if they are many.
fn all_from(block: u32, steps: impl Fn(u32) -> Vec<u32>) -> Option<Vec<u32>> {
    let mut found = vec![block];
    let mut at = 0;
    while let Some(block) = found.get(at).copied().filter(|_| found.len() <= MOST_TRIED) {
        at += 1;
        for next in steps(block) {
            if !found.contains(&next) {
                found.push(next);
            }
        }
    }
    (found.len() <= MOST_TRIED).then_some(found)
}

/// Natural loops, each with all its ways back.
fn loops(facts: &Facts<'_>) -> Vec<Loop> {
    let blocks = &facts.flow.blocks;
    let mut found: Vec<Loop> = Vec::new();
    if blocks.len() > MOST_BLOCKS {
        return found;
    }
    for (from, block) in (0..).zip(blocks) {
        for header in block.successors().map(|next| next as u32) {
            let reached = facts.flow.reached(block.first as usize);
            if !reached || facts.control.forward(from, header) {
                continue;
            }
            let turns = match found.iter_mut().find(|known| known.header == header) {
                Some(known) => known,
                None => {
                    found.push(Loop { header, body: vec![header] });
                    let Some(new) = found.last_mut() else { continue };
                    new
                }
            };
            turns.add(facts, from);
        }
    }
    found.iter_mut().for_each(|turns| turns.body.sort_unstable());
    found
}

impl Loop {
    /// All blocks from which control comes back by `last`.
    fn add(&mut self, facts: &Facts<'_>, last: u32) {
        let mut work = vec![last];
        while let Some(block) = work.pop() {
            if !self.body.contains(&block) {
                self.body.push(block);
                work.extend_from_slice(facts.flow.predecessors(block));
            }
        }
    }

    fn has(&self, block: u32) -> bool {
        self.body.binary_search(&block).is_ok()
    }

    /// Blocks whose branches decide that the loop is left; or, where the compiler tests the same before it, not entered.
    fn tests(&self, facts: &Facts<'_>) -> Vec<u32> {
        let ways =
            |block: u32| facts.flow.blocks.get(block as usize).filter(|_| branches(facts, block)).map(|it| [it.next, it.jump]);
        let leaves = |block: &u32| ways(*block).is_some_and(|[one, other]| self.has(one) != self.has(other));
        let mut tests: Vec<u32> = self.body.iter().copied().filter(leaves).collect();
        let goes_on = |tests: &[u32], block: u32| {
            ways(block).is_some_and(|ways| ways.iter().any(|way| tests.contains(way) && is_short(facts, *way)))
        };
        // The parts of `a and b` that come before the last one.
        while let Some(more) = self.body.iter().find(|block| !tests.contains(block) && goes_on(&tests, **block)) {
            tests.push(*more);
        }
        // A copy in front of the loop: its last part leads into it, the others to the next part.
        let is_copy = |block: &u32| {
            let outside = !self.has(*block) && !tests.contains(block) && ways(*block).is_some();
            outside && tests.iter().any(|test| is_twin(facts, *test, *block))
        };
        let mut copies: Vec<u32> = facts.flow.predecessors(self.header).iter().copied().filter(is_copy).collect();
        let mut at = 0;
        while let Some(copy) = copies.get(at) {
            let before = facts.flow.predecessors(*copy).iter().filter(|block| is_copy(block) && !copies.contains(block));
            let before: Vec<u32> = before.copied().collect();
            copies.extend(before);
            at += 1;
        }
        tests.extend(copies);
        tests
    }

    /// The loop's instructions, as ranges of offsets.
    fn offsets(&self, facts: &Facts<'_>) -> Vec<(u32, u32)> {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for block in self.body.iter().filter_map(|block| facts.flow.blocks.get(*block as usize)) {
            let (Some(first), Some(end)) = (offset(facts, block.first), end(facts, block)) else { continue };
            match ranges.last_mut() {
                Some((_, last)) if *last == first => *last = end,
                _ => ranges.push((first, end)),
            }
        }
        ranges
    }

    /// Is it something else in each turn that is looked at?
    fn searches(&self, facts: &Facts<'_>, dependence: &mut Dependence<'_>, read: u32) -> bool {
        let mut makers = Vec::new();
        dependence.follow(facts.flow.uses(read as usize).iter().copied(), &mut Vec::new(), &mut makers);
        let steps = |at: &u32| facts.flow.list().get(*at as usize).is_some_and(|maker| maker.op == Op::ForIter);
        makers.iter().any(|at| steps(at) && self.has(facts.flow.block(*at as usize)))
    }

    /// Does the loop itself change what is read there?
    fn changes(&self, facts: &Facts<'_>, read: &Access) -> bool {
        facts.accesses.iter().any(|access| {
            let same = (access.space, access.subject) == (read.space, read.subject);
            same && access.writes()
                && access.instruction != read.instruction
                && self.has(facts.flow.block(access.instruction as usize))
        })
    }
}

/// Does it test no more than one more condition?
fn is_short(facts: &Facts<'_>, block: u32) -> bool {
    facts.flow.blocks.get(block as usize).is_some_and(|block| {
        let list = facts.flow.list().get(block.first as usize..block.end as usize).unwrap_or_default();
        !list.iter().any(|instruction| matches!(instruction.op, Op::StoreFast | Op::StoreAttr | Op::StoreGlobal | Op::PopTop))
    })
}

/// Does a condition decide where control goes from there, and no loop's end?
fn branches(facts: &Facts<'_>, block: u32) -> bool {
    let Some(Side { block, .. }) = facts.flow.branch_of(block) else { return false };
    let found = facts.flow.blocks.get(block as usize);
    let last = found.and_then(|block| facts.flow.list().get(block.end.checked_sub(1)? as usize));
    let two = found.is_some_and(|block| block.next != NOWHERE && block.jump != NOWHERE);
    two && last.is_some_and(|last| last.op != Op::ForIter) && facts.flow.condition(block).is_some()
}

/// Do both test the same? The compiler may put a loop's test in two places.
fn is_twin(facts: &Facts<'_>, one: u32, other: u32) -> bool {
    let ending = |block: u32| {
        let block = facts.flow.blocks.get(block as usize)?;
        let list = facts.flow.list().get(block.first as usize..block.end.checked_sub(1)? as usize)?;
        let ending = list.iter().rev().filter(|instruction| instruction.op != Op::ToBool).take(2);
        Some(ending.map(|instruction| (instruction.op, instruction.arg)).collect::<Vec<_>>())
    };
    let (Some(one), Some(other)) = (ending(one), ending(other)) else { return false };
    !one.is_empty() && !other.is_empty() && one.iter().zip(&other).all(|(one, other)| one == other)
}

/// Offsets of reads, and of calls, on which the test depends and which are made for it.
fn polled(facts: &Facts<'_>, dependence: &mut Dependence<'_>, turns: &Loop, tests: &[u32], test: u32) -> Vec<u32> {
    let (mut sources, mut makers) = (Vec::new(), Vec::new());
    dependence.follow(facts.flow.condition(test), &mut sources, &mut makers);
    let accesses = sources.iter().filter(|source| source.element_of == NOWHERE).map(|source| source.access);
    let last = facts.flow.blocks.get(test as usize).and_then(|block| block.end.checked_sub(1));
    let by_the_branch: Vec<u32> = last.map(|last| dependence.reads_at(last as usize).collect()).unwrap_or_default();
    let here = |instruction: u32| {
        let block = facts.flow.block(instruction as usize);
        turns.has(block) || tests.contains(&block)
    };
    let reads = accesses.chain(by_the_branch).filter(|access| facts.own.get(*access as usize) != Some(&true));
    let reads = reads.filter_map(|access| facts.accesses.get(access as usize));
    let walks = |read: &Access| matches!(read.operation, Operation::IterBegin { .. } | Operation::IterNext { .. });
    let reads =
        reads.filter(|read| here(read.instruction) && !walks(read) && !turns.changes(facts, read)).map(|read| read.instruction);
    let mut found: Vec<u32> = reads.filter(|read| !turns.searches(facts, dependence, *read)).collect();
    let calls = |at: &u32| facts.flow.list().get(*at as usize).is_some_and(|maker| calls(maker.op));
    found.extend(makers.iter().copied().filter(calls).chain(stepped(facts, test)).filter(|at| here(*at)));
    found.iter().filter_map(|at| offset(facts, *at)).collect()
}

/// Where the test is made of each thing that a generator gives (`all(…)`, which the compiler may write out): the step that
/// goes on with it.
fn stepped(facts: &Facts<'_>, test: u32) -> Option<u32> {
    let (value, _) = facts.flow.behind_truth(facts.flow.condition(test)?);
    let (at, maker) = facts.flow.maker(value)?;
    (maker.op == Op::ForIter).then_some(at as u32)
}

fn offset(facts: &Facts<'_>, instruction: u32) -> Option<u32> {
    facts.flow.list().get(instruction as usize).map(|instruction| instruction.offset)
}

fn end(facts: &Facts<'_>, block: &Block) -> Option<u32> {
    facts.flow.list().get(block.end.checked_sub(1)? as usize).map(|last| last.end)
}
