//! What static analysis says about one position in a code object: which slots are certain to be what, which windows the
//! position is inside of. A thread seen there may be in the middle of the instruction or behind it, so only what holds
//! before and after counts.

use racetrace_probes::flow::{Definition, Flow, UNKNOWN, UNREACHED, Value};
use racetrace_probes::opcode::Op;
use racetrace_probes::plan::{Plan, Window};

/// One position.
#[derive(Debug, Clone, Default)]
pub struct Site {
    /// The value in each frame slot, locals first; [`UNKNOWN`] where before and after differ.
    pub values: Vec<Value>,
    /// Number of slots in use before the instruction.
    pub depth: u32,
    /// Slots that hold the exit of a `with` block, with the offset of the instruction that entered it.
    pub exits: Vec<(u32, u32)>,
    /// Indices of the plan's windows that the position is inside of.
    pub windows: Vec<u16>,
    /// Indices of the plan's spans, windows from call to call, that the position is inside of.
    pub spans: Vec<u16>,
    /// Slots that hold the iterator of a loop which goes on from here, with the offset at which the loop began.
    pub iterators: Vec<(u32, u32)>,
}

impl Site {
    /// The slot that holds `value` here.
    pub fn slot_of(&self, value: Value) -> Option<u32> {
        if value == UNKNOWN {
            return None;
        }
        self.values.iter().position(|&found| found == value).and_then(|index| u32::try_from(index).ok())
    }

    /// Describes the position of instruction `offset`.
    pub fn new(flow: &Flow, plan: Option<&Plan>, offset: u32) -> Site {
        let Some(at) = flow.instructions.at(offset) else { return Site::default() };
        let values = certain(flow, at);
        let exits = exits(flow, &values, at);
        let iterators = iterators(flow, &values, at);
        let windows = plan.map_or_else(Vec::new, |plan| {
            let inside = plan.windows.iter().enumerate().filter(|(_, window)| is_inside(flow, window, at));
            inside.filter_map(|(index, _)| u16::try_from(index).ok()).collect()
        });
        let spans = plan.map_or_else(Vec::new, |plan| spans(flow, plan, at));
        let depth = flow.slots.saturating_add(flow.depth.get(at).copied().filter(|depth| *depth != UNREACHED).unwrap_or(0));
        Site { values, depth, exits, windows, spans, iterators }
    }
}

/// The slots' values that are the same wherever in or behind the instruction the thread is.
fn certain(flow: &Flow, at: usize) -> Vec<Value> {
    let Some(before) = flow.before(at) else { return Vec::new() };
    let mut values = before.values;
    let mut narrow = |other: Option<Vec<Value>>| {
        let Some(other) = other else { return };
        values.truncate(other.len());
        for (value, other) in values.iter_mut().zip(other) {
            if *value != other {
                *value = UNKNOWN;
            }
        }
    };
    for state in leaving(flow, at) {
        narrow(Some(state));
    }
    // A specialised PRECALL (3.11) has done the CALL that follows.
    if flow.list().get(at).is_some_and(|instruction| instruction.op == Op::Precall) {
        narrow(flow.after(at + 1).map(|state| state.values));
    }
    // A specialised COMPARE_OP (3.11) has taken the jump that follows.
    if flow.list().get(at).is_some_and(|instruction| instruction.op == Op::CompareOp) {
        for state in leaving(flow, at + 1) {
            narrow(Some(state));
        }
    }
    values
}

/// The states in which control leaves an instruction.
fn leaving(flow: &Flow, at: usize) -> Vec<Vec<Value>> {
    let mut states: Vec<Vec<Value>> =
        successors(flow, at).into_iter().filter_map(|next| Some(flow.before(next)?.values)).collect();
    if states.is_empty() {
        states.extend(flow.after(at).map(|state| state.values));
    }
    states
}

/// The instructions that can come next without an exception.
pub(super) fn successors(flow: &Flow, at: usize) -> Vec<usize> {
    let Some(block) = flow.blocks.get(flow.block(at) as usize) else { return Vec::new() };
    if at + 1 < block.end as usize {
        return vec![at + 1];
    }
    block.successors().filter_map(|next| flow.blocks.get(next).map(|block| block.first as usize)).collect()
}

/// Offsets of the instructions that enter the `with` blocks around the instruction with index `at`.
pub(super) fn around(flow: &Flow, at: usize) -> Vec<u32> {
    let values = flow.before(at).map_or_else(Vec::new, |state| state.values);
    exits(flow, &values, at).into_iter().map(|(_, entered_at)| entered_at).collect()
}

fn exits(flow: &Flow, values: &[Value], at: usize) -> Vec<(u32, u32)> {
    let mut found = Vec::new();
    for (slot, &value) in values.iter().enumerate().skip(flow.slots as usize) {
        let Definition::Output { instruction, index: 0 } = flow.definition(value) else { continue };
        let Some(maker) = flow.list().get(instruction as usize) else { continue };
        let entered = match maker.op {
            Op::BeforeWith | Op::SetupWith => true,
            // `__aexit__` is there before `__aenter__` has been awaited.
            Op::BeforeAsyncWith => !is_entering(flow, instruction as usize, at),
            // `__exit__` and `__aexit__`; the block is entered when the call of `__enter__` has returned.
            Op::LoadSpecial if maker.arg == 1 || maker.arg == 3 => !is_entering(flow, instruction as usize, at),
            _ => false,
        };
        if entered && let Ok(slot) = u32::try_from(slot) {
            found.push((slot, maker.offset));
        }
    }
    found
}

/// Does `at` lie between the loading of the exit and the end of the entering call (for `async with`, of its await)?
pub(super) fn is_entering(flow: &Flow, load: usize, at: usize) -> bool {
    let awaits = flow.list().get(load).is_some_and(|load| load.op != Op::LoadSpecial || load.arg == 3);
    let is_last = |op: Op| match op {
        Op::EndSend | Op::YieldFrom => awaits,
        Op::JumpBackwardNoInterrupt => awaits && flow.minor == 11,
        Op::Call => !awaits,
        _ => false,
    };
    let rest = flow.list().iter().enumerate().skip(load);
    let end = rest.filter(|(_, instruction)| is_last(instruction.op)).map(|(index, _)| index).next().unwrap_or(load);
    (load..=end).contains(&at)
}

/// Iterators on the stack whose loop can ask for another element from here.
fn iterators(flow: &Flow, values: &[Value], at: usize) -> Vec<(u32, u32)> {
    let mut found = Vec::new();
    for (index, _) in flow.list().iter().enumerate().filter(|(_, instruction)| instruction.op == Op::ForIter) {
        let Some(state) = flow.before(index) else { continue };
        // The iterator is the topmost value before FOR_ITER (3.15 keeps an index above it).
        for slot in (flow.slots as usize..state.values.len()).rev().take(2) {
            let Some(value) = state.values.get(slot).filter(|value| **value != UNKNOWN) else { continue };
            let Some((_, begin)) = flow.maker(*value).filter(|(_, maker)| maker.op == Op::GetIter) else { continue };
            if values.get(slot) == Some(value)
                && reaches(flow, at, index, &[])
                && let Ok(slot) = u32::try_from(slot)
            {
                found.push((slot, begin.offset));
                break;
            }
        }
    }
    found.dedup();
    found
}

/// Is the instruction at index `at` between one of the window's reads and its write? Reads and write themselves are not.
fn is_inside(flow: &Flow, window: &Window, at: usize) -> bool {
    let Some(write) = flow.instructions.at(window.write) else { return false };
    let reads: Vec<usize> = window.reads.iter().filter_map(|read| flow.instructions.at(*read)).collect();
    if at == write || reads.contains(&at) || reads.iter().all(|read| is_asserted(flow, *read)) {
        return false;
    }
    between(flow, &reads, write, at)
}

/// Is `at` on a way from one of the reads to the write that passes no other of them?
fn between(flow: &Flow, reads: &[usize], write: usize, at: usize) -> bool {
    let stops: Vec<usize> = reads.iter().copied().chain([write]).collect();
    reaches(flow, at, write, reads) && reads.iter().any(|read| reaches(flow, *read, at, &stops))
}

/// The spans that the position is inside of: behind the last call that reads before the one that stores.
fn spans(flow: &Flow, plan: &Plan, at: usize) -> Vec<u16> {
    let mut found = Vec::new();
    for (index, span) in plan.spans.iter().enumerate() {
        let (Some(read), Some(write)) = (flow.instructions.at(span.read), flow.instructions.at(span.write)) else { continue };
        // A later call of the same sort replaces what an earlier one said.
        let alike = plan.spans.iter().filter(|other| other.write == span.write && other.read_path == span.read_path);
        let reads: Vec<usize> = alike.filter_map(|other| flow.instructions.at(other.read)).collect();
        let stops: Vec<usize> = reads.iter().copied().chain([write]).collect();
        let inside = at != write && !reads.contains(&at) && reaches(flow, at, write, &reads) && reaches(flow, read, at, &stops);
        if let (true, Ok(index)) = (inside, u16::try_from(index)) {
            found.push(index);
        }
    }
    found
}

/// Does an `assert` test the read? It states what the program relies on and decides nothing.
pub(super) fn is_asserted(flow: &Flow, read: usize) -> bool {
    let Some(block) = flow.blocks.get(flow.block(read) as usize) else { return false };
    block.successors().filter_map(|next| flow.blocks.get(next)).any(|next| {
        flow.list().get(next.first as usize).is_some_and(|first| match first.op {
            Op::LoadAssertionError => true,
            Op::LoadCommonConstant => first.arg == 0,
            _ => false,
        })
    })
}

/// Can control go from behind `from` to `to` without passing one of `avoiding` on the way?
pub(super) fn reaches(flow: &Flow, from: usize, to: usize, avoiding: &[usize]) -> bool {
    let mut seen = vec![false; flow.list().len()];
    let mut next = successors(flow, from);
    while let Some(at) = next.pop() {
        if at == to {
            return true;
        }
        match seen.get_mut(at) {
            Some(seen) if !*seen && !avoiding.contains(&at) => *seen = true,
            _ => continue,
        }
        next.extend(successors(flow, at));
    }
    false
}
