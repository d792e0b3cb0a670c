//! Coroutines that were made and that nobody will run: a suspended function keeps one in a local variable, nothing else
//! does, and nothing that the function can still come to reads that variable. It says nothing of those in containers.

use std::collections::HashMap;

use racetrace_probes::code::Code;
use racetrace_probes::flow::Flow;
use racetrace_probes::opcode::Op;

use crate::cpython::python::Python;
use crate::target::address::RemoteAddr;
use crate::target::memory::Memory;

use super::codes::KnownCode;
use super::site::successors;
use super::strand::Activation;

/// A coroutine that will be dropped without having run.
pub(super) struct Abandoned {
    pub frame: usize,
    pub slot: u32,
    pub coroutine: RemoteAddr,
    /// The words that say that it has not begun, and is kept here only.
    pub words: Vec<(RemoteAddr, u64)>,
    /// The call that made it, where this function did; else where the function stands.
    pub made: u32,
    /// The coroutine's qualified name.
    pub name: String,
}

/// How often each position has been looked at since the last refresh.
pub(super) type Looks = HashMap<(RemoteAddr, u32), u32>;

/// Of many tasks at one place a few say enough.
const MOST_LOOKS: u32 = 16;
/// `CO_COROUTINE`.
const COROUTINE: u32 = 0x80;
/// Functions that can read any variable.
const READ_ALL: &[&str] = &["locals", "vars", "eval", "exec", "dir", "_getframe", "currentframe", "stack"];

/// Those in the frames of a suspended task.
pub(super) fn read_abandoned<M: Memory>(
    python: &Python<M>,
    looks: &mut Looks,
    frames: &[Activation],
    is_users: impl Fn(&KnownCode) -> bool,
) -> Vec<Abandoned> {
    let mut found = Vec::new();
    for (index, activation) in frames.iter().enumerate() {
        let code = &activation.code.remote;
        if code.code.flags & COROUTINE == 0 || !is_users(&activation.code) {
            continue;
        }
        let looked = looks.entry((code.at, activation.offset)).or_default();
        let unread = if *looked < MOST_LOOKS { activation.code.unread(activation.offset) } else { continue };
        *looked += 1;
        if unread.is_empty() {
            continue;
        }
        let slots = python.slots(activation.frame.at, activation.locals()).unwrap_or_default();
        for &slot in unread.iter() {
            let Some(&coroutine) = slots.get(slot as usize).filter(|object| !object.is_null()) else { continue };
            let Some(unstarted) = python.unstarted(coroutine) else { continue };
            // A reference that is lent to a function further in is not counted (3.14).
            let lent = frames.get(..index).unwrap_or_default().iter().any(|inner| mentions(python, inner, coroutine));
            if !lent {
                let (name, words) = (unstarted.name, unstarted.words);
                let made = made_by(&activation.code, activation.offset, slot).unwrap_or(activation.offset);
                found.push(Abandoned { frame: index, slot, coroutine, words, made, name });
            }
        }
    }
    found
}

fn mentions<M: Memory>(python: &Python<M>, frame: &Activation, object: RemoteAddr) -> bool {
    let count = frame.frame.slots_in_use.unwrap_or_else(|| frame.code.site(frame.offset).depth);
    python.slots(frame.frame.at, count).is_ok_and(|slots| slots.contains(&object))
}

/// The call whose result a variable holds.
fn made_by(code: &KnownCode, offset: u32, slot: u32) -> Option<u32> {
    let value = *code.site(offset).values.get(slot as usize)?;
    let (_, maker) = code.flow()?.maker(value)?;
    racetrace_probes::call::calls(maker.op).then_some(maker.offset)
}

/// The local variables that nothing reads which can come after the instruction at `offset`, errors included.
pub(super) fn unread(code: &Code, flow: &Flow, offset: u32) -> Vec<u32> {
    let Some(at) = flow.instructions.at(offset) else { return Vec::new() };
    if code.names.iter().any(|name| READ_ALL.contains(&name.as_str())) {
        return Vec::new();
    }
    let mut read = vec![false; code.locals.len()];
    let mut seen = vec![false; flow.list().len()];
    let follow = |index: usize| {
        let handler = flow.handler(index).map(|handler| handler.target as usize);
        successors(flow, index).into_iter().chain(handler)
    };
    let mut next: Vec<usize> = follow(at).collect();
    while let Some(index) = next.pop() {
        match seen.get_mut(index) {
            Some(seen) if !*seen => *seen = true,
            _ => continue,
        }
        next.extend(follow(index));
        let Some(instruction) = flow.list().get(index) else { continue };
        let slots: &[u32] = match instruction.op {
            Op::LoadFast | Op::LoadFastCheck | Op::LoadFastBorrow | Op::LoadFastAndClear => &[instruction.arg],
            Op::LoadFastLoadFast | Op::LoadFastBorrowLoadFastBorrow => &[instruction.arg >> 4, instruction.arg & 15],
            Op::StoreFastLoadFast => &[instruction.arg & 15],
            _ => &[],
        };
        for slot in slots {
            if let Some(read) = read.get_mut(*slot as usize) {
                *read = true;
            }
        }
    }
    // Cells are read by other functions too; they come behind the plain variables, or in the place of an argument.
    for cell in flow.list().iter().filter(|instruction| instruction.op == Op::MakeCell) {
        if let Some(read) = read.get_mut(cell.arg as usize) {
            *read = true;
        }
    }
    (0..).zip(read.iter().take(code.nlocals as usize)).filter(|(_, read)| !**read).map(|(slot, _)| slot).collect()
}
