//! What lies ahead of a position in a function: the accesses that a strand which stands there is bound to come to, and the
//! calls on the way, each of which must be known not to wait for another strand. By the code alone; whether a call waits
//! is for [`super::plain`] to say.

use racetrace_probes::call::{Call, calls};
use racetrace_probes::code::Code;
use racetrace_probes::control::{Control, Side};
use racetrace_probes::effect::branches;
use racetrace_probes::flow::{Definition, Flow, Value};
use racetrace_probes::ident::{SUBSCRIPT, name_index, name_text};
use racetrace_probes::instruction::Instruction;
use racetrace_probes::method::{self, Touch};
use racetrace_probes::opcode::Op;
use racetrace_probes::plan::{Operation, Plan, WindowKind};

use super::site::{is_asserted, reaches, successors};

/// How a frame stands at its instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// In the middle of it, or just behind.
    Innermost,
    /// In a call that another frame is the activation of, or in an await whose awaited is known.
    Caller,
}

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
        let Some(at) = flow.instructions.at(offset) else { return Approach::default() };
        let Some(starts) = starts(flow, at) else { return Approach::default() };
        let ways = Ways { code, flow, at, starts, standing, decided: decided(flow, at) };
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

/// Can a loop that others must end, other than a `for` loop, lie on the way to the target? Then passing it is a wait.
fn spins_before(flow: &Flow, target: usize) -> bool {
    let list = flow.list();
    let walks: Vec<usize> =
        list.iter().enumerate().filter(|(_, found)| found.op == Op::ForIter).map(|(index, _)| index).chain([target]).collect();
    let tests = (0..list.len()).filter(|index| list.get(*index).is_some_and(|found| branches(found.op)) && flow.reached(*index));
    tests.into_iter().any(|test| reaches(flow, test, test, &walks) && reaches(flow, test, target, &[test]))
}

/// Is the read of a check-then-act repeated until others have changed what it reads?
fn polls(flow: &Flow, plan: &Plan, act: Act, read: usize) -> bool {
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

/// Where control goes on from a position: behind the await, for a suspended coroutine. `None` for a suspended generator,
/// whose caller decides.
fn starts(flow: &Flow, at: usize) -> Option<Vec<usize>> {
    let mut here = at;
    for _ in 0..6 {
        let instruction = flow.list().get(here)?;
        match instruction.op {
            Op::EndSend | Op::YieldFrom => break,
            Op::Send => return Some(vec![instruction.target as usize]),
            Op::YieldValue => here += 1,
            // Behind an await, not at a function's or generator's beginning.
            Op::Resume if instruction.arg & 3 == 3 => here += 1,
            Op::JumpBackwardNoInterrupt => here = instruction.target as usize,
            _ if here == at => break,
            _ => return None,
        }
    }
    Some(successors(flow, here))
}

/// The ways that branches went, for control to be at `at`.
fn decided(flow: &Flow, at: usize) -> Vec<Side> {
    let block = flow.block_of.get(at).copied().unwrap_or(u32::MAX);
    Control::of(flow).ancestors(block).into_iter().map(|(side, _)| side).collect()
}

/// Conditions of more values are not followed.
const LARGEST_CONDITION: usize = 40;
/// What is called in conditions of loops without being a turn that strands give each other.
const STEADY: &[&str] = &["monotonic", "time", "perf_counter", "len", "is_set", "isinstance", "bool", "int", "any", "all"];

struct Ways<'a> {
    code: &'a Code,
    flow: &'a Flow,
    at: usize,
    starts: Vec<usize>,
    standing: Standing,
    decided: Vec<Side>,
}

impl Ways<'_> {
    /// The calls on the ways to `target`, if all ways lead there.
    fn to(&self, target: usize) -> Option<Vec<usize>> {
        let reached = self.forward(Some(target));
        if !reached.get(target).copied().unwrap_or(false) {
            return None;
        }
        let on_way = self.backward(&reached, target);
        for index in (0..on_way.len()).filter(|index| *index != target && on_way.get(*index) == Some(&true)) {
            for next in successors(self.flow, index) {
                if on_way.get(next) != Some(&true) && !self.is_excused(index, &on_way) {
                    return None;
                }
            }
        }
        let strays = self.starts.iter().any(|start| on_way.get(*start) != Some(&true));
        if strays && !(self.starts.len() > 1 && self.is_excused(self.at, &on_way)) {
            return None;
        }
        let mut between = on_way;
        // The target itself comes after the moment that counts.
        if let Some(target) = between.get_mut(target) {
            *target = false;
        }
        self.calls(&between)
    }

    /// May control be taken not to leave the way at this branch? It stays in a `for` loop that leads there, or takes the
    /// side that it took before, on a condition that the function itself does not change.
    fn is_excused(&self, branch: usize, on_way: &[bool]) -> bool {
        let Some(instruction) = self.flow.list().get(branch) else { return false };
        if instruction.op == Op::ForIter {
            return true;
        }
        let Some(block) = self.flow.block_of.get(branch).copied() else { return false };
        let leads =
            |next: u32| self.flow.blocks.get(next as usize).is_some_and(|next| on_way.get(next.first as usize) == Some(&true));
        let Some(ends) = self.flow.blocks.get(block as usize) else { return false };
        let as_before = |side: &Side| side.block == block && leads(if side.jump { ends.jump } else { ends.next });
        self.decided.iter().any(as_before) && self.flow.condition(block).is_some_and(|tested| self.is_steady(tested))
    }

    /// Does nothing that this function writes or calls decide about a condition?
    fn is_steady(&self, condition: Value) -> bool {
        let (mut work, mut seen) = (vec![condition], Vec::new());
        while let Some(value) = work.pop() {
            if seen.contains(&value) {
                continue;
            }
            seen.push(value);
            if seen.len() > LARGEST_CONDITION {
                return false;
            }
            match self.flow.definition(value) {
                Definition::Output { instruction, .. } => {
                    let index = instruction as usize;
                    let Some(maker) = self.flow.list().get(index) else { return false };
                    if let Some(call) = Call::at(self.flow, self.code, index) {
                        if !self.is_harmless(&call) {
                            return false;
                        }
                        continue;
                    }
                    if calls(maker.op) || self.writes_what(maker) {
                        return false;
                    }
                    work.extend_from_slice(self.flow.uses(index));
                }
                Definition::Phi(phi) => {
                    work.extend(self.flow.phis.get(phi as usize).into_iter().flat_map(|phi| phi.operands.iter().copied()));
                }
                Definition::Slot(_) | Definition::Null => {}
                Definition::Unknown => return false,
            }
        }
        true
    }

    fn is_harmless(&self, call: &Call) -> bool {
        let maker = self.flow.maker(call.callee).map(|(_, maker)| maker);
        let name = maker.and_then(|maker| name_text(self.code, name_index(&maker, self.flow.minor)));
        name.is_some_and(|name| STEADY.contains(&name))
    }

    /// Does the function write what this instruction reads?
    fn writes_what(&self, read: &Instruction) -> bool {
        let same_name = |write: &Instruction| {
            name_text(self.code, name_index(read, self.flow.minor)) == name_text(self.code, name_index(write, self.flow.minor))
        };
        self.flow.list().iter().any(|write| match (read.op, write.op) {
            (Op::LoadGlobal | Op::LoadName, Op::StoreGlobal | Op::StoreName | Op::DeleteGlobal)
            | (Op::LoadAttr, Op::StoreAttr | Op::DeleteAttr) => same_name(write),
            (Op::LoadDeref, Op::StoreDeref | Op::DeleteDeref) => read.arg == write.arg,
            (Op::BinarySubscr | Op::ContainsOp, Op::StoreSubscr | Op::DeleteSubscr) => true,
            (Op::BinaryOp, Op::StoreSubscr | Op::DeleteSubscr) => read.arg == SUBSCRIPT,
            _ => false,
        })
    }

    /// Instructions that control can come to from the starts, up to `target`.
    fn forward(&self, target: Option<usize>) -> Vec<bool> {
        let mut seen = vec![false; self.flow.list().len()];
        let mut next = self.starts.clone();
        while let Some(at) = next.pop() {
            match seen.get_mut(at) {
                Some(seen) if !*seen => *seen = true,
                _ => continue,
            }
            if Some(at) != target {
                next.extend(successors(self.flow, at));
            }
        }
        seen
    }

    /// Those of `reached` from which control can come to `target`, it included.
    fn backward(&self, reached: &[bool], target: usize) -> Vec<bool> {
        let mut on_way = vec![false; reached.len()];
        if let Some(target) = on_way.get_mut(target) {
            *target = true;
        }
        // Code runs forwards but for its loops: few rounds are needed.
        loop {
            let mut changed = false;
            for index in (0..reached.len()).rev() {
                let fresh = reached.get(index) == Some(&true) && on_way.get(index) == Some(&false);
                if fresh && successors(self.flow, index).iter().any(|next| on_way.get(*next) == Some(&true)) {
                    if let Some(entry) = on_way.get_mut(index) {
                        *entry = true;
                    }
                    changed = true;
                }
            }
            if !changed {
                return on_way;
            }
        }
    }

    /// The instructions among these that may wait, depending on what they call; `None` if one may in any case.
    fn calls(&self, among: &[bool]) -> Option<Vec<usize>> {
        let mut found = Vec::new();
        let here = (self.standing == Standing::Innermost).then_some(self.at);
        let passed = among.iter().enumerate().filter(|(_, passed)| **passed).map(|(index, _)| index);
        for index in passed.chain(here) {
            let Some(instruction) = self.flow.list().get(index) else { continue };
            match waits(instruction) {
                Waits::Never => {}
                Waits::Depends => found.push(index),
                Waits::Perhaps => return None,
            }
        }
        Some(found)
    }
}

/// Can an instruction make its strand wait for another one?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waits {
    Never,
    /// That depends on what is called, or walked.
    Depends,
    Perhaps,
}

pub fn waits(instruction: &Instruction) -> Waits {
    match instruction.op {
        Op::CallFunctionEx
        | Op::BeforeWith
        | Op::SetupWith
        | Op::BeforeAsyncWith
        | Op::LoadSpecial
        | Op::GetAwaitable
        | Op::Send
        | Op::YieldValue
        | Op::YieldFrom
        | Op::ImportName
        | Op::LoadBuildClass => Waits::Perhaps,
        Op::ForIter => Waits::Depends,
        op if calls(op) => Waits::Depends,
        _ => Waits::Never,
    }
}
