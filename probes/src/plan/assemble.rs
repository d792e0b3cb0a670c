//! Puts a plan together: accesses, windows and spans of one code object. What each of them is, is found elsewhere.

use super::{Operation, Plan, PlanError, Poll, Watch};
use crate::access::{self, Access};
use crate::call::{Call, calls};
use crate::code::Code;
use crate::control::Control;
use crate::depend::Dependence;
use crate::destination::Destinations;
use crate::escape;
use crate::flow::Flow;
use crate::ident::{Idents, Thing, name_text};
use crate::instruction::NOWHERE;
use crate::opcode::Op;
use crate::path::Paths;
use crate::poll;
use crate::span;
use crate::version::Version;
use crate::window::{self, Facts};

/// `CO_OPTIMIZED`: a function, whose locals have slots. Modules and class bodies have none.
const OPTIMIZED: u32 = 1;

pub(super) fn plan(code: &Code, version: Version) -> Result<Plan, PlanError> {
    let flow = Flow::new(code, version)?;
    let mut idents = Idents::new(code, &flow);
    let module = code.flags & OPTIMIZED == 0 && code.name == "<module>";
    let accesses = access::find(&access::Source { code, flow: &flow, module }, &mut idents);
    let control = Control::of(&flow);
    let kept = escape::kept(code, &flow, &idents);
    let is_kept = |access: &Access| access.container.is_some_and(|container| kept.get(container as usize) == Some(&true));
    let own: Vec<bool> = accesses.iter().map(is_kept).collect();
    let facts = Facts { code, version, flow: &flow, control: &control, idents: &idents, accesses: &accesses, own: &own };
    let mut dependence = Dependence::new(code, &flow, &control, &idents, &accesses);
    let window::Found { windows, taken, confirmed } = window::find(&facts, &mut dependence);
    let spans = span::find(&facts, &mut dependence);
    let polls = poll::find(&facts, &mut dependence);
    let watches = watches(&facts, &taken, &polls);
    let enter = windows.iter().any(|window| !window.dominated).then(|| first_offset(&flow));
    let decided = decided(&facts, &mut dependence);
    Ok(Plan { watches, windows, spans, confirmed, decided, polls, enter, paths: paths(&facts) })
}

/// Calls of `acquire` that depend on what something is (`if self.readers == 1: self.writing.acquire()`).
fn decided(facts: &Facts<'_>, dependence: &mut Dependence<'_>) -> Vec<u32> {
    let Facts { code, flow, idents, .. } = *facts;
    let mut found = Vec::new();
    for (index, instruction) in flow.list().iter().enumerate().filter(|(index, _)| flow.reached(*index)) {
        let call = if calls(instruction.op) { Call::at(flow, code, index) } else { None };
        if call.is_none_or(|call| access::called_name(code, idents, &call) != Some("acquire")) {
            continue;
        }
        let block = flow.block(index);
        let sides = facts.control.ancestors(block).into_iter().filter(|(_, around)| !around);
        if sides.into_iter().any(|(side, _)| !dependence.sources(flow.condition(side.block)).is_empty()) {
            found.push(instruction.offset);
        }
    }
    found
}

fn watches(facts: &Facts<'_>, taken: &[bool], polls: &[Poll]) -> Vec<Watch> {
    let Facts { code, flow, idents, .. } = *facts;
    let destinations = Destinations::new(code, flow);
    let paths = Paths { code, flow, idents };
    let walked: Vec<_> = facts.accesses.iter().filter(|access| access.own_walk).map(|access| access.named).collect();
    let mut watches = Vec::new();
    for (index, access) in facts.accesses.iter().enumerate() {
        let instruction = access.instruction as usize;
        let flows = match access.operation {
            Operation::Truth { .. } => super::Flows { into_branch: true, ..super::Flows::default() },
            _ => destinations.of(flow.output(instruction, 0)),
        };
        let flows = if access.reads() && makes_value(&access.operation) { flows } else { super::Flows::default() };
        let Some(found) = flow.list().get(instruction) else { continue };
        let polled = || polls.iter().any(|poll| poll.read == found.offset);
        let wanted = taken.get(index) == Some(&true) || worth(facts, access, flows) || polled();
        let own = facts.own.get(index) == Some(&true) && !(access.writes() && walked.contains(&access.subject));
        if own || !wanted {
            continue;
        }
        watches.push(Watch {
            offset: found.offset,
            depth: flow.depth.get(instruction).copied().unwrap_or(0),
            operation: access.operation.clone(),
            flows,
            path: paths.ident(access.named),
        });
    }
    watches
}

fn makes_value(operation: &Operation) -> bool {
    !matches!(operation, Operation::IterBegin { .. } | Operation::IterNext { .. } | Operation::Consume { .. })
}

/// Is the access worth watching though it is in no window?
fn worth(facts: &Facts<'_>, access: &Access, flows: super::Flows) -> bool {
    let goes = flows.into_branch || flows.into_return || flows.into_argument;
    match &access.operation {
        // At a call, the generator that is made there will begin to iterate, and is watched itself.
        Operation::IterBegin { .. } => {
            facts.flow.list().get(access.instruction as usize).is_some_and(|instruction| instruction.op == Op::GetIter)
        }
        Operation::IterNext { .. } | Operation::Consume { .. } => true,
        Operation::GlobalRead { name } => goes && !name_text(facts.code, *name).is_some_and(is_builtin),
        // Anything may be tested for truth; what others can reach by a name is likelier to be a shared container.
        Operation::Truth { .. } => matches!(
            facts.idents.thing(access.subject),
            Some(Thing::Global(_) | Thing::Cell(_) | Thing::Attribute(..) | Thing::Item(..))
        ),
        Operation::FunctionCall { function, .. } => {
            access.writes() || goes || !matches!(*function, "len" | "bool" | "getattr" | "hasattr")
        }
        _ => access.writes() || goes,
    }
}

/// Names that hardly ever are variables of a module.
fn is_builtin(name: &str) -> bool {
    span::QUIET.contains(&name) || name.ends_with("Error") || matches!(name, "Exception" | "object" | "property" | "staticmethod")
}

/// The instruction behind the first RESUME: the first that is executed for the function itself.
fn first_offset(flow: &Flow) -> u32 {
    let list = flow.list();
    let resume = list.iter().position(|instruction| instruction.op == Op::Resume);
    let first = resume.map_or(0, |resume| resume + 1);
    list.get(first).map_or(0, |instruction| instruction.offset)
}

/// Names for what is entered by `with` and for receivers of methods that locks have.
fn paths(facts: &Facts<'_>) -> Vec<(u32, String)> {
    let Facts { code, flow, idents, .. } = *facts;
    let paths = Paths { code, flow, idents };
    let mut found = Vec::new();
    for (index, instruction) in flow.list().iter().enumerate() {
        if !flow.reached(index) {
            continue;
        }
        let value = match instruction.op {
            Op::BeforeWith | Op::BeforeAsyncWith | Op::SetupWith | Op::LoadSpecial => Some(flow.operand(index, 1)),
            op if calls(op) => locked(facts, index),
            _ => None,
        };
        found.extend(value.map(|value| (instruction.offset, paths.value(value))));
    }
    found
}

/// The object that a call may lock, wait for or release.
fn locked(facts: &Facts<'_>, index: usize) -> Option<u32> {
    let call = Call::at(facts.flow, facts.code, index)?;
    if let Some((at, maker)) = facts.flow.maker(call.callee)
        && maker.op == Op::LoadSpecial
    {
        return Some(facts.flow.operand(at, 1));
    }
    let Some(Thing::Attribute(base, name)) = facts.idents.thing(facts.idents.of(call.callee)) else { return None };
    let name = name_text(facts.code, name)?;
    if matches!(name, "enter_context" | "enter_async_context") {
        return call.argument(facts.flow, 0);
    }
    let locks = name.contains("acquire")
        || name.contains("release")
        || matches!(
            name,
            "join"
                | "result"
                | "__enter__"
                | "__exit__"
                | "__aenter__"
                | "__aexit__"
                | "wait"
                | "wait_for"
                | "notify"
                | "notify_all"
        );
    let receiver = call.receiver.map(|(receiver, _)| receiver).or_else(|| facts.idents.example(base));
    receiver.filter(|value| locks && *value != NOWHERE)
}
