//! What lies ahead of a position in a function: the accesses that a strand which stands there is bound to come to, and the
//! calls on the way, each of which must be known not to wait for another strand. By the code alone; whether a call waits
//! is for [`super::plain`] to say.

use racetrace_probes::code::Code;
use racetrace_probes::flow::Flow;
use racetrace_probes::method::{self, Touch};
use racetrace_probes::opcode::Op;
use racetrace_probes::plan::{Operation, Plan, WindowKind};

use super::site::{is_asserted, reaches};
use super::ways::{Standing, Ways, spins_before};

/// What lies ahead of one position.
#[derive(Debug, Clone, Default)]
pub struct Approach {
    pub targets: Vec<Target>,
    /// What is called on the ways to the function's end; `None` if something there may wait in any case.
    pub leaving: Option<Vec<usize>>,
}

/// An access that the strand is bound to come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Index into the plan's watches.
    pub watch: usize,
    pub act: Act,
    /// Instructions on the ways there that may wait, depending on what they call.
    pub calls: Vec<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// The read of a window of the plan.
    Opens(u16),
    /// A write of a variable or an item, or what removes elements of a container.
    Writes,
}

/// Functions with more accesses are not searched to the end.
const MOST_TARGETS: usize = 64;

impl Approach {
    /// What lies ahead of the instruction at `offset`. `inside`: the windows that the position is inside of already.
    pub fn new(code: &Code, flow: &Flow, plan: &Plan, offset: u32, standing: Standing, inside: &[u16]) -> Approach {
        let Some(ways) = Ways::from(code, flow, offset, standing) else { return Approach::default() };
        let leaving = ways.calls(&ways.forward(None));
        let mut targets = Vec::new();
        for (act, watch, instruction) in candidates(flow, plan, inside) {
            if targets.len() >= MOST_TARGETS {
                break;
            }
            if spins_before(flow, instruction) || polls(flow, plan, act, instruction) {
                continue;
            }
            if let Some(calls) = ways.to(instruction) {
                targets.push(Target { watch, act, calls });
            }
        }
        Approach { targets, leaving }
    }
}

/// Everything that a strand could be on its way to.
fn candidates(flow: &Flow, plan: &Plan, inside: &[u16]) -> Vec<(Act, usize, usize)> {
    let mut found = Vec::new();
    let watch_at = |offset: u32| plan.watches.iter().position(|watch| watch.offset == offset);
    for (index, window) in plan.windows.iter().enumerate() {
        let Ok(number) = u16::try_from(index) else { break };
        if inside.contains(&number) {
            continue;
        }
        let reads = window.reads.iter().filter_map(|read| Some((watch_at(*read)?, flow.instructions.at(*read)?)));
        found.extend(reads.filter(|(_, at)| !is_asserted(flow, *at)).map(|(watch, at)| (Act::Opens(number), watch, at)));
    }
    let writes = plan.watches.iter().enumerate().filter(|(_, watch)| writes(&watch.operation));
    found.extend(writes.filter_map(|(index, watch)| Some((Act::Writes, index, flow.instructions.at(watch.offset)?))));
    found
}

/// Is the read of a check-then-act repeated until others have changed what it reads?
pub(super) fn polls(flow: &Flow, plan: &Plan, act: Act, read: usize) -> bool {
    let Act::Opens(number) = act else { return false };
    let Some(window) = plan.windows.get(usize::from(number)) else { return true };
    let Some(write) = flow.instructions.at(window.write) else { return true };
    let list = flow.list().iter().enumerate();
    let stops: Vec<usize> = list.filter(|(_, found)| found.op == Op::ForIter).map(|(index, _)| index).chain([write]).collect();
    window.kind == WindowKind::CheckThenAct && reaches(flow, read, read, &stops)
}

/// Does the operation store another value, or take elements away?
fn writes(operation: &Operation) -> bool {
    match operation {
        Operation::GlobalWrite { .. }
        | Operation::GlobalDelete { .. }
        | Operation::CellWrite { .. }
        | Operation::CellDelete { .. }
        | Operation::AttributeWrite { .. }
        | Operation::AttributeDelete { .. }
        | Operation::ItemWrite { .. }
        | Operation::ItemDelete { .. } => true,
        Operation::MethodCall { method, .. } => {
            method::methods(method).iter().any(|row| matches!(row.touch, Touch::Remove | Touch::Replace))
        }
        _ => false,
    }
}
