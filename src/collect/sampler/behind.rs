//! What lies right behind a strand: windows that it has certainly passed through, with nothing done since that could make
//! it wait, give a lock back, or tell another strand of it. A lock that it held there it holds still. By the code
//! alone; what its calls do is for [`super::plain`] to say.

use racetrace_probes::code::Code;
use racetrace_probes::flow::Flow;
use racetrace_probes::plan::Plan;

use crate::cpython::python::Python;
use crate::target::memory::Memory;

use super::approach::Act;
use super::codes::{Codes, KnownCode};
use super::found::{Coming, Strand, coming};
use super::plain::{Asked, MAKES_GENERATOR, Plain, Plainness};
use super::roots;
use super::site::{is_asserted, reaches};
use super::strand::Activation;
use super::value::Scope;
use super::ways::{Standing, Waits, waits};

/// What lies behind one position.
#[derive(Debug, Clone, Default)]
pub struct Behind {
    pub passed: Vec<Passed>,
    /// What is called on the ways from the function's beginning; `None` if something there may wait in any case.
    pub entering: Option<Vec<usize>>,
}

/// A window that control has come through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    pub window: u16,
    /// Index of its read into the plan's watches.
    pub watch: usize,
    /// Instructions since then that may do something another strand notices, depending on what they call.
    pub calls: Vec<usize>,
}

impl Behind {
    pub fn new(code: &Code, flow: &Flow, plan: &Plan, offset: u32, standing: Standing) -> Behind {
        // Of generators and coroutines their callers decide when they go on.
        let at = flow.instructions.at(offset).filter(|_| code.flags & MAKES_GENERATOR == 0);
        let Some(at) = at else { return Behind::default() };
        let here = (standing == Standing::Innermost).then_some(at);
        let passed = plan.windows.iter().enumerate().filter_map(|(number, window)| {
            let write = flow.instructions.at(window.write).filter(|write| *write != at)?;
            let since = since(flow, at, Some(write))?;
            let read = window.reads.iter().find_map(|read| {
                let index = flow.instructions.at(*read).filter(|index| !is_asserted(flow, *index))?;
                let watch = plan.watches.iter().position(|watch| watch.offset == *read)?;
                (window.dominated && reaches(flow, index, write, &[])).then_some(watch)
            })?;
            Some(Passed { window: u16::try_from(number).ok()?, watch: read, calls: noticed(flow, &since, here)? })
        });
        let passed = passed.collect();
        let entering = since(flow, at, None).and_then(|since| noticed(flow, &since, here));
        Behind { passed, entering }
    }
}

/// The instructions on all ways from `mark` to `at`, both left out; from the function's beginning without a mark. `None` if
/// there is a way to `at` that does not come past the mark.
fn since(flow: &Flow, at: usize, mark: Option<usize>) -> Option<Vec<bool>> {
    let mut seen = vec![false; flow.list().len()];
    let mut work = vec![at];
    while let Some(here) = work.pop() {
        if here == 0 && mark.is_some() {
            return None;
        }
        for index in before(flow, here)? {
            match seen.get_mut(index) {
                Some(seen) if !*seen && Some(index) != mark => *seen = true,
                _ => continue,
            }
            work.push(index);
        }
    }
    Some(seen)
}

/// The instructions from which control comes to `at`. `None` where only an exception can have led there.
fn before(flow: &Flow, at: usize) -> Option<Vec<usize>> {
    let number = flow.block(at);
    let block = flow.blocks.get(number as usize)?;
    if at > block.first as usize {
        return Some(vec![at - 1]);
    }
    let from = flow.predecessors(number).iter().filter_map(|from| flow.blocks.get(*from as usize)?.end.checked_sub(1));
    let found: Vec<usize> = from.map(|last| last as usize).collect();
    (!found.is_empty() || at == 0).then_some(found)
}

/// The calls among these, and at `here`; `None` if something there is noticed by others whatever it calls.
fn noticed(flow: &Flow, among: &[bool], here: Option<usize>) -> Option<Vec<usize>> {
    let mut calls = Vec::new();
    let passed = among.iter().enumerate().filter(|(_, passed)| **passed).map(|(index, _)| index);
    for index in passed.chain(here) {
        let Some(instruction) = flow.list().get(index) else { continue };
        match waits(instruction) {
            Waits::Never => {}
            Waits::Depends => calls.push(index),
            Waits::Perhaps => return None,
        }
    }
    Some(calls)
}

/// The windows that the strand has just come through, on subjects that it was given or that are there for all. `is_users`
/// tells the program's own files.
pub(super) fn read_behind<M: Memory>(
    python: &Python<M>,
    codes: &mut Codes,
    known: &mut Plainness,
    strand: &mut Strand,
    is_users: impl Fn(&KnownCode) -> bool,
) {
    if strand.task.is_some() || strand.waited.is_some() {
        return;
    }
    let has_passed = |index: usize, activation: &Activation| {
        is_users(&activation.code) && !activation.code.behind(activation.offset, Standing::of(index)).passed.is_empty()
    };
    let frames = &strand.view.frames;
    // How the strand got to frames in which it has come through nothing need not be known.
    let Some(last) = frames.iter().enumerate().rposition(|(index, activation)| has_passed(index, activation)) else { return };
    let Some((own, roots)) = roots::of_thread(python, frames) else { return };
    let mut plain = Plain { python, codes, known, asked: Asked::Tells };
    let mut found: Vec<Coming> = Vec::new();
    for (index, activation) in own.iter().enumerate().take(last + 1) {
        let behind = activation.code.behind(activation.offset, Standing::of(index));
        let Some(scope) = Scope::of_frame(python, activation) else { break };
        let mut are_plain = |calls: &[usize]| calls.iter().all(|call| plain.is_plain(&scope, *call));
        if is_users(&activation.code) {
            for passed in behind.passed.iter().filter(|passed| are_plain(&passed.calls)) {
                let watch = activation.code.plan().and_then(|plan| plan.watches.get(passed.watch));
                let Some((watch, at)) = watch.and_then(|watch| Some((watch, scope.flow.instructions.at(watch.offset)?))) else {
                    continue;
                };
                let window = coming(python, activation, index, passed.watch, Act::Opens(passed.window));
                let window = window.filter(|window| roots.were_given(&scope, at, &watch.operation, &window.subject));
                found.extend(window.map(|window| Coming { passed: true, ..window }));
            }
        }
        if !behind.entering.as_ref().is_some_and(|calls| are_plain(calls)) {
            break;
        }
    }
    strand.coming.extend(found);
}
