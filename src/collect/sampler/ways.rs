//! The ways through a function from a position on: where control is bound to come, and which instructions on the way may
//! make their strand wait. By the code alone; whether a call waits is for [`super::plain`] to say.

use racetrace_probes::call::{Call, calls};
use racetrace_probes::code::Code;
use racetrace_probes::control::{Control, Side};
use racetrace_probes::effect::branches;
use racetrace_probes::flow::{Definition, Flow, Value};
use racetrace_probes::ident::{SUBSCRIPT, name_index, name_text};
use racetrace_probes::instruction::Instruction;
use racetrace_probes::opcode::Op;

use super::site::{reaches, successors};
use super::turns::{self, Turn};

/// How a frame stands at its instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// In the middle of it, or just behind.
    Innermost,
    /// In a call that another frame is the activation of, or in an await whose awaited is known.
    Caller,
}

impl Standing {
    /// Of the frame with this index among its strand's, innermost first.
    pub fn of(frame: usize) -> Standing {
        if frame == 0 { Standing::Innermost } else { Standing::Caller }
    }
}

/// Conditions of more values are not followed.
const LARGEST_CONDITION: usize = 40;
/// What is called in conditions of loops without being a turn that strands give each other.
const STEADY: &[&str] = &["monotonic", "time", "perf_counter", "len", "is_set", "isinstance", "bool", "int", "any", "all"];

pub struct Ways<'a> {
    code: &'a Code,
    flow: &'a Flow,
    at: usize,
    starts: Vec<usize>,
    standing: Standing,
    decided: Vec<Side>,
}

impl<'a> Ways<'a> {
    /// The ways from the instruction at `offset`.
    pub fn from(code: &'a Code, flow: &'a Flow, offset: u32, standing: Standing) -> Option<Ways<'a>> {
        let at = flow.instructions.at(offset)?;
        Some(Ways { code, flow, at, starts: starts(flow, at)?, standing, decided: decided(flow, at) })
    }

    /// The ways from the function's beginning.
    pub fn through(code: &'a Code, flow: &'a Flow) -> Ways<'a> {
        Ways { code, flow, at: 0, starts: vec![0], standing: Standing::Caller, decided: Vec::new() }
    }

    /// The calls on the ways to `target`, if all ways lead there.
    pub fn to(&self, target: usize) -> Option<Vec<usize>> {
        self.calls(&self.between(target)?)
    }

    /// The instructions on the ways to `target`, which itself comes after the moment that counts; if all ways lead there.
    pub fn between(&self, target: usize) -> Option<Vec<bool>> {
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
        if self.passes_by(target) {
            return None;
        }
        let mut between = on_way;
        if let Some(target) = between.get_mut(target) {
            *target = false;
        }
        Some(between)
    }

    /// Can a `for` loop around the target go on without ever coming to it? From here, and then turn after turn.
    fn passes_by(&self, target: usize) -> bool {
        let around = turns::around(self.flow, target);
        let goes = |at: usize| self.goes(at, &around);
        around.iter().any(|turn| {
            turns::leads(&self.starts, turn.step, target, goes) && turns::leads(&[turn.body], turn.step, target, goes)
        })
    }

    /// Where control goes on from an instruction: into the loops around the target, and on the side of a branch that it took
    /// before if nothing here changes what it depends on.
    fn goes(&self, at: usize, around: &[Turn]) -> Vec<usize> {
        if let Some(turn) = around.iter().find(|turn| turn.step == at) {
            return vec![turn.body];
        }
        let all = successors(self.flow, at);
        let block = self.flow.block(at);
        let side = self.decided.iter().find(|side| side.block == block).filter(|_| all.len() > 1);
        let Some(side) = side else { return all };
        let steady = self.flow.condition(side.block).is_some_and(|tested| self.is_steady(tested));
        let ends = self.flow.blocks.get(side.block as usize);
        let taken = ends.map(|ends| if side.jump { ends.jump } else { ends.next });
        let first = taken.and_then(|taken| self.flow.blocks.get(taken as usize)).map(|block| block.first as usize);
        first.filter(|_| steady).map_or(all, |first| vec![first])
    }

    /// May control be taken not to leave the way at this branch? It stays in a `for` loop that leads there, or takes the
    /// side that it took before, on a condition that the function itself does not change.
    fn is_excused(&self, branch: usize, on_way: &[bool]) -> bool {
        let Some(instruction) = self.flow.list().get(branch) else { return false };
        if instruction.op == Op::ForIter {
            return true;
        }
        let block = self.flow.block(branch);
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
    pub fn forward(&self, target: Option<usize>) -> Vec<bool> {
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
    pub fn calls(&self, among: &[bool]) -> Option<Vec<usize>> {
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
        // The end of a `with` block without a call of its own: by an exception, and always on 3.8.
        Op::ForIter | Op::WithCleanupStart | Op::WithExceptStart => Waits::Depends,
        op if calls(op) => Waits::Depends,
        _ => Waits::Never,
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
    Control::of(flow).ancestors(flow.block(at)).into_iter().map(|(side, _)| side).collect()
}

/// Can a loop that others must end, other than a `for` loop, lie on the way to the target? Then passing it is a wait.
pub(super) fn spins_before(flow: &Flow, target: usize) -> bool {
    let list = flow.list();
    let walks: Vec<usize> =
        list.iter().enumerate().filter(|(_, found)| found.op == Op::ForIter).map(|(index, _)| index).chain([target]).collect();
    let tests = (0..list.len()).filter(|index| list.get(*index).is_some_and(|found| branches(found.op)) && flow.reached(*index));
    tests.into_iter().any(|test| reaches(flow, test, test, &walks) && reaches(flow, test, target, &[test]))
}
