//! Handlers that are entered because a read found nothing: `try: return d[k]`, `except KeyError: d[k] = …`. Which
//! exceptions a call may raise otherwise is not asked.

use crate::access::Access;
use crate::control::Side;
use crate::flow::{Flow, Value};
use crate::ident::{Thing, name_text};
use crate::opcode::Op;
use crate::plan::Operation;
use crate::window::Facts;

/// Reads that may fail, by the block of the handler that would then be entered.
pub struct Handlers {
    reads: Vec<(u32, usize)>,
    /// By block: reached without any exception.
    normal: Vec<bool>,
}

impl Handlers {
    #[must_use]
    pub fn new(facts: &Facts<'_>) -> Handlers {
        let mut reads: Vec<(u32, usize)> = Vec::new();
        for (index, access) in facts.accesses.iter().enumerate() {
            if failure(access).is_some()
                && let Some(handler) = facts.flow.handler(access.instruction as usize)
            {
                reads.push((facts.flow.block(handler.target as usize), index));
            }
        }
        let normal = if reads.is_empty() { Vec::new() } else { reached(facts.flow, 0) };
        reads.sort_unstable();
        Handlers { reads, normal }
    }

    /// The reads whose failure leads to `block`, which nothing else leads to.
    #[must_use]
    pub fn failed_reads(&self, facts: &Facts<'_>, ancestors: &[(Side, bool)], block: u32) -> Vec<usize> {
        let mut found = Vec::new();
        if self.reads.is_empty() || self.normal.get(block as usize) != Some(&false) {
            return found;
        }
        let caught = ancestors.iter().find_map(|(side, _)| caught(facts, *side));
        for handler in self.leading_to(facts.flow, block) {
            if caught.is_none() && !catches_all(facts.flow, handler) {
                continue;
            }
            let from = self.reads.partition_point(|(known, _)| *known < handler);
            for (_, read) in self.reads.iter().skip(from).take_while(|(known, _)| *known == handler) {
                let raised = facts.accesses.get(*read).and_then(failure).unwrap_or(&[]);
                if caught.as_ref().is_none_or(|caught| caught.iter().any(|name| raised.contains(name) || GENERAL.contains(name)))
                {
                    found.push(*read);
                }
            }
        }
        found
    }

    /// The blocks that lead to `block` and that only exceptions lead to; handlers are among them.
    fn leading_to(&self, flow: &Flow, block: u32) -> Vec<u32> {
        let mut found = vec![block];
        let mut at = 0;
        while let Some(block) = found.get(at).copied() {
            at += 1;
            for before in flow.predecessors(block) {
                if found.len() < MOST_BLOCKS && self.normal.get(*before as usize) == Some(&false) && !found.contains(before) {
                    found.push(*before);
                }
            }
        }
        found
    }
}

/// Handlers larger than this are not followed to their beginning.
const MOST_BLOCKS: usize = 128;

/// `except:` throws the exception away first thing; `finally` and `with` keep it.
fn catches_all(flow: &Flow, handler: u32) -> bool {
    let first = flow.blocks.get(handler as usize).map_or(0, |block| block.first as usize);
    let mut list = flow.list().get(first..).unwrap_or(&[]).iter().map(|instruction| instruction.op);
    match list.next() {
        Some(Op::PushExcInfo) => list.next() == Some(Op::PopTop),
        first => first == Some(Op::PopTop),
    }
}

const GENERAL: &[&str] = &["Exception", "BaseException"];

/// What a read raises when it finds nothing.
fn failure(access: &Access) -> Option<&'static [&'static str]> {
    Some(match &access.operation {
        Operation::ItemRead { .. } => &["KeyError", "IndexError", "LookupError"],
        Operation::AttributeRead { .. } => &["AttributeError"],
        Operation::FunctionCall { function: "getattr", arguments: 2, .. } => &["AttributeError"],
        Operation::GlobalRead { .. } => &["NameError"],
        Operation::CellRead { .. } => &["NameError", "UnboundLocalError"],
        Operation::MethodCall { method: "pop" | "remove" | "index" | "__getitem__", .. } => {
            &["KeyError", "IndexError", "LookupError", "ValueError"]
        }
        _ => return None,
    })
}

/// The exceptions that control passes that side with, if the branch is the test of an `except` clause.
fn caught<'a>(facts: &Facts<'a>, side: Side) -> Option<Vec<&'a str>> {
    let flow = facts.flow;
    let last = flow.blocks.get(side.block as usize)?.end.checked_sub(1)? as usize;
    let branch = flow.list().get(last)?;
    let (types, matched_by_jump) = match branch.op {
        Op::JumpIfNotExcMatch => (flow.operand(last, 1), false),
        op => {
            let (at, maker) = flow.maker(flow.operand(last, 1))?;
            let matches = maker.op == Op::CheckExcMatch || (maker.op == Op::CompareOp && flow.minor == 8 && maker.arg == 10);
            if !matches {
                return None;
            }
            let jumps_if_true = matches!(op, Op::PopJumpIfTrue | Op::PopJumpForwardIfTrue | Op::PopJumpBackwardIfTrue);
            (flow.operand(at, 1), jumps_if_true)
        }
    };
    if side.jump != matched_by_jump {
        return None;
    }
    let mut names = Vec::new();
    match flow.maker(types) {
        Some((at, maker)) if maker.op == Op::BuildTuple => {
            flow.uses(at).iter().for_each(|value| names.extend(name(facts, *value)))
        }
        _ => names.extend(name(facts, types)),
    }
    Some(names)
}

fn name<'a>(facts: &Facts<'a>, value: Value) -> Option<&'a str> {
    match facts.idents.thing(facts.idents.of(value))? {
        Thing::Global(name) | Thing::Attribute(_, name) => name_text(facts.code, name),
        _ => None,
    }
}

fn reached(flow: &Flow, from: u32) -> Vec<bool> {
    let mut seen = vec![false; flow.blocks.len()];
    let mut work = vec![from as usize];
    while let Some(block) = work.pop() {
        if let (Some(seen), Some(found)) = (seen.get_mut(block), flow.blocks.get(block))
            && !std::mem::replace(seen, true)
        {
            work.extend(found.successors());
        }
    }
    seen
}
