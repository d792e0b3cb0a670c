//! The turns of `for` loops: whether control comes to an instruction in each of them, or only in some. A loop is taken to
//! have turns at all; how many is not known.

use racetrace_probes::flow::Flow;
use racetrace_probes::opcode::Op;

use super::site::{reaches, successors};

/// A loop around an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn {
    /// Where it asks for its next element.
    pub step: usize,
    /// Where a turn begins.
    pub body: usize,
}

/// The `for` loops whose turns can come to the instruction at `target`.
pub(super) fn around(flow: &Flow, target: usize) -> Vec<Turn> {
    let steps = flow.list().iter().enumerate().filter(|(at, found)| found.op == Op::ForIter && flow.reached(*at));
    let turns = steps.filter_map(|(step, _)| Some(Turn { step, body: body(flow, step)? }));
    turns
        .filter(|turn| turn.body == target || leads(&[turn.body], target, turn.step, |at| successors(flow, at)))
        .filter(|turn| reaches(flow, target, turn.step, &[]))
        .collect()
}

fn body(flow: &Flow, step: usize) -> Option<usize> {
    let block = flow.blocks.get(flow.block(step) as usize)?;
    flow.blocks.get(block.next as usize).map(|next| next.first as usize)
}

/// Does control come from one of `starts` to `end` without passing `avoided`, going on as `goes` says?
pub(super) fn leads(starts: &[usize], end: usize, avoided: usize, goes: impl Fn(usize) -> Vec<usize>) -> bool {
    let (mut seen, mut work) = (Vec::new(), starts.to_vec());
    while let Some(at) = work.pop() {
        if at == end {
            return true;
        }
        if at == avoided || seen.contains(&at) {
            continue;
        }
        seen.push(at);
        work.extend(goes(at));
    }
    false
}

/// Does every turn of the loop that `step` belongs to come to the instruction at `target`, and none end the loop?
pub(super) fn comes_in_each(flow: &Flow, step: usize, target: usize) -> bool {
    let around = around(flow, target);
    let Some(turn) = around.iter().find(|turn| turn.step == step) else { return false };
    let into_loops = |at: usize| match around.iter().find(|inner| inner.step == at) {
        Some(inner) if inner.step == step => Vec::new(),
        Some(inner) => vec![inner.body],
        None => successors(flow, at),
    };
    if leads(&[turn.body], step, target, into_loops) {
        return false;
    }
    // Whatever is come to within a turn must lead to the next one, but for what raises.
    let (mut seen, mut work) = (vec![step], vec![turn.body]);
    while let Some(at) = work.pop() {
        if seen.contains(&at) {
            continue;
        }
        seen.push(at);
        let raises = flow.list().get(at).is_some_and(|found| matches!(found.op, Op::RaiseVarargs | Op::Reraise));
        if !raises && !reaches(flow, at, step, &[]) {
            return false;
        }
        work.extend(successors(flow, at));
    }
    true
}
