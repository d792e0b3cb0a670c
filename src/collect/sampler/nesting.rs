//! Locks that a thread takes while it holds others: one that it waits for now, or is bound to come to by `with`, with
//! nothing in front of it that could make it wait but the locks around it. It says nothing of try-locks and timeouts.

use racetrace_probes::code::Code;
use racetrace_probes::flow::Flow;
use racetrace_probes::opcode::Op;

use crate::cpython::lock::LockState;
use crate::event::Patience;
use crate::target::address::RemoteAddr;
use crate::target::memory::Memory;

use super::locks::{HeldLock, WaitedLock};
use super::plain::Plain;
use super::site::{self, is_entering};
use super::strand::Activation;
use super::value::Scope;
use super::ways::{Standing, Ways, spins_before};

/// A lock taken inside another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Nesting {
    pub outer: Taken,
    pub inner: Taken,
    /// What else is held by then.
    pub gates: Vec<RemoteAddr>,
}

/// A lock, and where it is or will be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    pub lock: RemoteAddr,
    /// Index into the strand's frames.
    pub frame: usize,
    pub offset: u32,
}

/// A `with` statement that lies ahead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    at: usize,
    offset: u32,
    /// Offsets of the instructions that enter the `with` blocks around it.
    around: Vec<u32>,
    /// Calls on the way that may wait, depending on what they call.
    calls: Vec<usize>,
}

/// The `with` statements that are bound to be come to from the instruction at `offset`.
pub(super) fn entries(code: &Code, flow: &Flow, offset: u32, standing: Standing) -> Vec<Entry> {
    let mut found = Vec::new();
    let Some(ways) = Ways::from(code, flow, offset, standing) else { return found };
    for (at, instruction) in flow.list().iter().enumerate().filter(|(at, _)| enters(flow, *at) && flow.reached(*at)) {
        if spins_before(flow, at) {
            continue;
        }
        let Some(mut between) = ways.between(at) else { continue };
        let around = site::around(flow, at);
        // The locks of the blocks around are part of what is asked.
        for load in around.iter().filter_map(|offset| flow.instructions.at(*offset)) {
            for (index, passed) in between.iter_mut().enumerate() {
                *passed &= !is_entering(flow, load, index);
            }
        }
        if let Some(calls) = ways.calls(&between) {
            found.push(Entry { at, offset: instruction.offset, around, calls });
        }
    }
    found
}

fn enters(flow: &Flow, at: usize) -> bool {
    flow.list().get(at).is_some_and(|found| match found.op {
        Op::BeforeWith | Op::SetupWith => true,
        Op::LoadSpecial => found.arg == EXIT,
        _ => false,
    })
}

/// `SPECIAL___EXIT__` of pycore_ceval.h (3.14+).
const EXIT: u32 = 1;

/// What the frame with this index is bound to take inside of others. `holds` are the locks that its thread holds.
pub(super) fn ahead<M: Memory>(
    plain: &mut Plain<'_, M>,
    scope: &Scope<'_, M>,
    activation: &Activation,
    frame: usize,
    holds: &[HeldLock],
) -> Vec<Nesting> {
    let standing = Standing::of(frame);
    let mut found = Vec::new();
    for entry in activation.code.entries(activation.offset, standing).iter() {
        let mut held: Vec<Taken> = holds.iter().filter(|hold| hold.frame > frame).map(taken).collect();
        let mut kept_by_others = Vec::new();
        let inside = activation.code.site(activation.offset);
        let is_resolved = entry.around.iter().all(|offset| {
            if let Some(hold) = holds.iter().find(|hold| hold.frame == frame && hold.entered_at == *offset) {
                held.push(taken(hold));
                return true;
            }
            // What it is in already and is no lock keeps nobody out whom it does not keep out now.
            if inside.exits.iter().any(|(_, entered)| entered == offset) {
                return true;
            }
            let Some(lock) = scope.flow.instructions.at(*offset).and_then(|at| lock_entered(scope, at)) else { return false };
            held.push(Taken { lock: lock.at, frame, offset: *offset });
            kept_by_others.extend(lock.locked.then_some(lock.at));
            true
        });
        if !is_resolved || held.is_empty() {
            continue;
        }
        let Some(inner) = lock_entered(scope, entry.at) else { continue };
        if entry.calls.iter().all(|call| plain.is_plain(scope, *call)) {
            let nestings = nestings(&held, Taken { lock: inner.at, frame, offset: entry.offset });
            // Who holds a lock that it must take first may hold it around all of theirs.
            found.extend(nestings.into_iter().filter(|nesting| !nesting.gates.iter().any(|gate| kept_by_others.contains(gate))));
        }
    }
    found
}

/// What a thread waits for while it holds others.
pub(super) fn waiting(waited: &WaitedLock, innermost: &Activation, holds: &[HeldLock]) -> Vec<Nesting> {
    if waited.patience != Patience::Forever || !waited.mutex || waited.by_task {
        return Vec::new();
    }
    let held: Vec<Taken> = holds.iter().filter(|hold| !hold.by_task).map(taken).collect();
    nestings(&held, Taken { lock: waited.lock, frame: 0, offset: innermost.offset })
}

fn nestings(held: &[Taken], inner: Taken) -> Vec<Nesting> {
    // A re-entrant lock that is held already keeps nobody waiting.
    if held.iter().any(|taken| taken.lock == inner.lock) {
        return Vec::new();
    }
    let others = |outer: &Taken| held.iter().map(|taken| taken.lock).filter(|lock| *lock != outer.lock).collect();
    held.iter().map(|outer| Nesting { outer: *outer, inner, gates: others(outer) }).collect()
}

fn taken(hold: &HeldLock) -> Taken {
    Taken { lock: hold.lock, frame: hold.frame, offset: hold.entered_at }
}

/// The lock that the instruction with index `at` will enter.
fn lock_entered<M: Memory>(scope: &Scope<'_, M>, at: usize) -> Option<LockState> {
    let manager = scope.value(scope.flow.operand(at, 1))?;
    scope.python.lock_behind(manager).ok().flatten()
}

/// Keeps those that can be part of a ring.
pub(super) fn keep_rings(nestings: &mut [&mut Vec<Nesting>]) {
    let ends: Vec<(usize, RemoteAddr, RemoteAddr)> = nestings
        .iter()
        .enumerate()
        .flat_map(|(strand, list)| list.iter().map(move |nesting| (strand, nesting.outer.lock, nesting.inner.lock)))
        .collect();
    for (strand, list) in nestings.iter_mut().enumerate() {
        list.retain(|nesting| {
            let goes_on = ends.iter().any(|(other, outer, _)| *other != strand && *outer == nesting.inner.lock);
            goes_on && ends.iter().any(|(other, _, inner)| *other != strand && *inner == nesting.outer.lock)
        });
    }
}
