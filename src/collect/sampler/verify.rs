//! Makes sure that what was read of several strands was so at one and the same moment. Everything of interest is read
//! again in one go, between two reads of the GILs; a strand counts if it is where it was, and cannot have run meanwhile:
//! it did not have the GIL and no hand-over took place, or the kernel has not run it. Without this step, hundreds of
//! states a minute are "seen" that never were.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::cpython::frame::RemoteFrame;
use crate::cpython::python::{GIL_SIZE, Gil, Python};
use crate::target::address::RemoteAddr;
use crate::target::memory::{Fault, Memory, Piece};
use crate::target::threads::Stillness;

use super::look::Strand;

/// What a piece must hold for the strand to be where it was.
enum Check {
    Gil(RemoteAddr),
    Frame(usize, RemoteFrame),
    /// The word, without tag bits.
    Word(usize, u64),
    /// The subject's value, for the `opening`-th window of the strand.
    Now(usize, usize),
}

/// Bytes of a frame that are compared.
const FRAME_BYTES: usize = 112;
/// A task cannot go on, come round its event loop and be back at the same place in less time.
const FASTEST_ROUND: Duration = Duration::from_micros(15);
const ATTEMPTS: usize = 4;

/// Which strands were certainly where they had been seen, all at one moment. Updates the subjects' present values.
///
/// # Errors
/// When the process is gone or closed to us.
pub(super) fn at_one_moment<M: Memory>(python: &Python<M>, pid: u32, strands: &mut [Strand]) -> Result<Vec<bool>, Fault> {
    let mut sure = vec![false; strands.len()];
    for _ in 0..ATTEMPTS {
        if once(python, pid, strands, &mut sure)? {
            break;
        }
    }
    Ok(sure)
}

/// One attempt; true if nothing is left to be gained by another.
fn once<M: Memory>(python: &Python<M>, pid: u32, strands: &mut [Strand], sure: &mut [bool]) -> Result<bool, Fault> {
    let mut gils: Vec<RemoteAddr> =
        strands.iter().map(|strand| strand.view.state.interpreter.gil).filter(|gil| !gil.is_null()).collect();
    gils.sort_unstable();
    gils.dedup();
    let mut plan: Vec<(Piece, Check)> = Vec::new();
    let gil_pieces = || gils.iter().map(|gil| (Piece { at: *gil, len: GIL_SIZE }, Check::Gil(*gil)));
    plan.extend(gil_pieces());
    for (index, strand) in strands.iter().enumerate().filter(|(_, strand)| strand.is_of_interest()) {
        expect(python, index, strand, &mut plan);
    }
    plan.extend(gil_pieces());
    let sleepers: Vec<Option<Stillness>> = strands.iter().map(|strand| sleeper(pid, strand)).collect();
    let pieces: Vec<Piece> = plan.iter().map(|(piece, _)| *piece).collect();
    let mut bytes = vec![0; pieces.iter().map(|piece| piece.len).sum()];
    let began = Instant::now();
    let read = python.memory.gather(&pieces, &mut bytes)?;
    let quick = began.elapsed() <= FASTEST_ROUND;
    if read != bytes.len() {
        return Ok(false);
    }
    let verdict = compare(python, &plan, &bytes, strands);
    let slept: Vec<bool> = strands
        .iter()
        .zip(&sleepers)
        .map(|(strand, before)| before.is_some_and(|before| sleeper(pid, strand).is_some_and(|after| before.unbroken(after))))
        .collect();
    let mut all = true;
    for (index, strand) in strands.iter().enumerate().filter(|(_, strand)| strand.is_of_interest()) {
        let state = strand.view.state;
        let in_place = verdict.in_place.get(index) == Some(&true);
        let parked = verdict.parked(state.interpreter.gil, state.at);
        let asleep = slept.get(index) == Some(&true);
        let resting = strand.task.is_some() && quick;
        if let Some(sure) = sure.get_mut(index) {
            *sure = in_place && (parked || asleep || resting);
            all &= *sure;
        }
    }
    for (strand, opening, now) in verdict.now {
        if let Some(opening) = strands.get_mut(strand).and_then(|strand| strand.open.get_mut(opening)) {
            opening.now = Some(now).filter(|now| !now.is_null());
        }
    }
    Ok(all)
}

fn sleeper(pid: u32, strand: &Strand) -> Option<Stillness> {
    if !strand.is_of_interest() {
        return None;
    }
    Stillness::of(pid, strand.view.tid?)
}

/// What has to be as it was, for this strand.
fn expect<M: Memory>(python: &Python<M>, index: usize, strand: &Strand, plan: &mut Vec<(Piece, Check)>) {
    let word = |at: RemoteAddr| Piece { at, len: 8 };
    match &strand.task {
        Some(task) => {
            if let Some(waiter) = task.waiter_at {
                plan.push((word(waiter), Check::Word(index, task.waiter.0)));
            }
        }
        None => {
            for (at, expected) in &strand.view.head {
                plan.push((word(*at), Check::Word(index, expected.0)));
            }
            // Another thread can have got the place of one that ended.
            if let (Some(offset), Some(native)) = (python.layout.thread.native_thread_id, strand.view.state.native) {
                plan.push((word(strand.view.state.at.plus(offset)), Check::Word(index, u64::from(native))));
            }
        }
    }
    // All frames inwards of the outermost window: if they are unchanged, none of them has been left.
    let deepest = strand.deepest();
    for frame in strand.view.chain.iter().take_while(|frame| deepest.is_none_or(|deepest| frame.at != deepest)) {
        plan.push((Piece { at: frame.at, len: FRAME_BYTES }, Check::Frame(index, *frame)));
    }
    if let Some(frame) = strand.view.chain.iter().find(|frame| Some(frame.at) == deepest) {
        plan.push((Piece { at: frame.at, len: FRAME_BYTES }, Check::Frame(index, *frame)));
    }
    for (number, opening) in strand.open.iter().enumerate() {
        if let (Some(slot), Some(held), Some(activation)) =
            (opening.subject.carried, opening.held, strand.view.frames.get(opening.frame))
        {
            plan.push((word(python.slot_address(activation.frame.at, slot)), Check::Word(index, held.0)));
        }
        if let Some(activation) = strand.view.frames.get(opening.frame) {
            let locals = (0..).zip(&opening.locals);
            plan.extend(
                locals.map(|(slot, at)| (word(python.slot_address(activation.frame.at, slot)), Check::Word(index, at.0))),
            );
        }
        if let Some((at, was)) = opening.subject.anchor {
            plan.push((word(at), Check::Word(index, was.0)));
        }
        if let Some(slot) = opening.subject.slot {
            plan.push((word(slot), Check::Now(index, number)));
        }
    }
}

#[derive(Default)]
struct Verdict {
    in_place: Vec<bool>,
    gils: HashMap<RemoteAddr, (Gil, Gil)>,
    now: Vec<(usize, usize, RemoteAddr)>,
}

impl Verdict {
    /// Was the thread without this GIL the whole time, and did nobody else get it?
    fn parked(&self, gil: RemoteAddr, thread: RemoteAddr) -> bool {
        self.gils.get(&gil).is_some_and(|(before, after)| {
            before.switches == after.switches && before.last_holder == after.last_holder && before.last_holder != thread
        })
    }
}

fn compare<M: Memory>(python: &Python<M>, plan: &[(Piece, Check)], bytes: &[u8], strands: &[Strand]) -> Verdict {
    let mut verdict = Verdict { in_place: vec![true; strands.len()], ..Verdict::default() };
    let tags = python.layout.frame.tag_bits;
    let mut at = 0;
    for (piece, check) in plan {
        let part = bytes.get(at..at + piece.len).unwrap_or_default();
        at += piece.len;
        let first = part.first_chunk().map_or(0, |word| u64::from_ne_bytes(*word));
        let mut require = |index: usize, holds: bool| {
            if let Some(in_place) = verdict.in_place.get_mut(index) {
                *in_place &= holds;
            }
        };
        match check {
            Check::Gil(gil) => {
                let now = python.gil_in(part);
                verdict.gils.entry(*gil).and_modify(|(_, after)| *after = now).or_insert((now, now));
            }
            Check::Frame(index, expected) => require(*index, python.frame_in(expected.at, part) == *expected),
            Check::Word(index, expected) => require(*index, first & !tags == *expected & !tags),
            Check::Now(index, opening) => verdict.now.push((*index, *opening, RemoteAddr(first))),
        }
    }
    verdict
}
