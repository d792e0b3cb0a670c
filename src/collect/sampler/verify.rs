//! Makes sure that what was read of several strands was so at one and the same moment. Everything of interest is read
//! again in one go, between two reads of the GILs; a strand counts if it is where it was, and cannot have run meanwhile:
//! it did not have the GIL and no hand-over took place, or the kernel has not run it. Without a GIL it must have been
//! detached from the interpreter, and everything is read twice, so that no two strands can have taken turns in between.
//! Without this step, hundreds of states a minute are "seen" that never were.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::cpython::frame::RemoteFrame;
use crate::cpython::python::{GIL_SIZE, Gil, Python};
use crate::target::address::RemoteAddr;
use crate::target::memory::{Fault, Memory, Piece};
use crate::target::threads::Stillness;

use super::found::Strand;

/// What a piece must hold for the strand to be where it was.
enum Check {
    Gil(RemoteAddr),
    Frame(usize, RemoteFrame),
    /// The word, without tag bits.
    Word(usize, u64),
    /// The word, tags and all.
    Exact(usize, u64),
    /// The thread runs no Python code.
    Detached(usize),
    /// The subject's value, for the `opening`-th window of the strand.
    Now(usize, usize),
}

/// Bytes of a frame that are compared.
const FRAME_BYTES: usize = 112;
/// A task cannot go on, come round its event loop and be back at the same place in less time.
const FASTEST_ROUND: Duration = Duration::from_micros(15);
/// Two threads cannot hand a lock to each other and back, and sleep with it, in less time.
const FASTEST_TURNS: Duration = Duration::from_micros(50);
const ATTEMPTS: usize = 4;

/// Which strands were certainly where they had been seen, all at one moment. Updates the subjects' present values.
///
/// # Errors
/// When the process is gone or closed to us.
pub(super) fn at_one_moment<M: Memory>(python: &Python<M>, pid: u32, strands: &mut [Strand]) -> Result<Vec<bool>, Fault> {
    let mut sure = vec![false; strands.len()];
    let mut lost = vec![false; strands.len()];
    for _ in 0..ATTEMPTS {
        if once(python, pid, strands, &mut sure, &mut lost)? {
            break;
        }
    }
    Ok(sure)
}

/// One attempt; true if nothing is left to be gained by another. Strands that are `lost` were found to be elsewhere, or
/// gone.
fn once<M: Memory>(
    python: &Python<M>,
    pid: u32,
    strands: &mut [Strand],
    sure: &mut [bool],
    lost: &mut [bool],
) -> Result<bool, Fault> {
    let mut gils: Vec<RemoteAddr> =
        strands.iter().map(|strand| strand.view.state.interpreter.gil).filter(|gil| !gil.is_null()).collect();
    gils.sort_unstable();
    gils.dedup();
    let mut plan: Vec<(Piece, Check)> = Vec::new();
    let gil_pieces = || gils.iter().map(|gil| (Piece { at: *gil, len: GIL_SIZE }, Check::Gil(*gil)));
    plan.extend(gil_pieces());
    detached(python, strands, lost, &mut plan);
    for _ in 0..if gils.is_empty() { 2 } else { 1 } {
        for (index, strand) in wanted(strands, lost) {
            expect(python, index, strand, &mut plan);
        }
    }
    detached(python, strands, lost, &mut plan);
    plan.extend(gil_pieces());
    let holders: Vec<RemoteAddr> = gils.iter().filter_map(|gil| Some(python.gil_now(*gil)?.last_holder)).collect();
    // Of the others the GIL itself tells.
    let asked = |strand: &Strand| {
        strand.is_of_interest() && (holders.contains(&strand.view.state.at) || (gils.is_empty() && strand.task.is_some()))
    };
    let mut tids: Vec<u32> = strands.iter().filter(|strand| asked(strand)).filter_map(|strand| strand.view.tid).collect();
    tids.sort_unstable();
    tids.dedup();
    let states = |tid: &u32| Some((*tid, Stillness::of(pid, *tid)?));
    let before: HashMap<u32, Stillness> = tids.iter().filter_map(states).collect();
    let pieces: Vec<Piece> = plan.iter().map(|(piece, _)| *piece).collect();
    let mut bytes = vec![0; pieces.iter().map(|piece| piece.len).sum()];
    let began = Instant::now();
    let read = python.memory.gather(&pieces, &mut bytes)?;
    let took = began.elapsed();
    let (quick, no_turns) = (took <= FASTEST_ROUND, took <= FASTEST_TURNS);
    if read != bytes.len() {
        let gone = strand_at(&plan, read);
        gone.and_then(|gone| lost.get_mut(gone)).into_iter().for_each(|lost| *lost = true);
        return Ok(gone.is_none());
    }
    let verdict = compare(python, &plan, &bytes, strands);
    let after: HashMap<u32, Stillness> = tids.iter().filter_map(states).collect();
    let slept = |tid: u32| before.get(&tid).zip(after.get(&tid)).is_some_and(|(before, after)| before.unbroken(*after));
    let mut all = true;
    for (index, strand) in strands.iter().enumerate().filter(|(_, strand)| strand.is_of_interest()) {
        let state = strand.view.state;
        let Some(lost) = lost.get_mut(index) else { continue };
        // What has moved on will not come back.
        *lost |= verdict.in_place.get(index) != Some(&true);
        let parked = verdict.parked(state.interpreter.gil, state.at);
        let asleep = strand.view.tid.is_some_and(slept);
        let resting = strand.task.is_some() && quick;
        let aside = strand.task.is_none() && no_turns && verdict.detached.get(index) == Some(&true);
        if let Some(sure) = sure.get_mut(index) {
            *sure = !*lost && (parked || asleep || resting || aside);
            all &= *sure || *lost;
        }
    }
    for (strand, opening, now) in verdict.now {
        if let Some(opening) = strands.get_mut(strand).and_then(|strand| strand.open.get_mut(opening)) {
            opening.now = Some(now).filter(|now| !now.is_null());
        }
    }
    Ok(all)
}

/// The strands that are still to be verified.
fn wanted<'a>(strands: &'a [Strand], lost: &'a [bool]) -> impl Iterator<Item = (usize, &'a Strand)> {
    let strands = strands.iter().enumerate().zip(lost);
    strands.filter(|((_, strand), lost)| strand.is_of_interest() && !**lost).map(|(strand, _)| strand)
}

/// The strand that the piece is about at which reading broke off after so many bytes.
fn strand_at(plan: &[(Piece, Check)], read: usize) -> Option<usize> {
    let mut end = 0;
    let (_, check) = plan.iter().find(|(piece, _)| {
        end += piece.len;
        end > read
    })?;
    match check {
        Check::Gil(_) => None,
        Check::Frame(index, _) | Check::Word(index, _) | Check::Exact(index, _) => Some(*index),
        Check::Detached(index) | Check::Now(index, _) => Some(*index),
    }
}

/// Threads of builds without a GIL say whether they run Python code.
fn detached<M: Memory>(python: &Python<M>, strands: &[Strand], lost: &[bool], plan: &mut Vec<(Piece, Check)>) {
    let Some(state) = python.layout.thread.state else { return };
    for (index, strand) in wanted(strands, lost).filter(|(_, strand)| strand.task.is_none()) {
        plan.push((Piece { at: strand.view.state.at.plus(state), len: 4 }, Check::Detached(index)));
    }
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
        if let Some((at, was)) = opening.subject.anchor {
            plan.push((word(at), Check::Word(index, was.0)));
        }
        if let Some(slot) = opening.subject.slot {
            plan.push((word(slot), Check::Now(index, number)));
        }
    }
    for walk in &strand.loops {
        let Some(activation) = strand.view.frames.get(walk.frame) else { continue };
        let slot = python.slot_address(activation.frame.at, walk.slot);
        plan.push((word(slot), Check::Word(index, walk.iterator.0)));
        if walk.has_changed() {
            plan.extend(walk.walked.words.iter().map(|(at, was)| (word(*at), Check::Exact(index, *was))));
        }
    }
    for abandoned in &strand.abandoned {
        let Some(activation) = strand.view.frames.get(abandoned.frame) else { continue };
        let slot = python.slot_address(activation.frame.at, abandoned.slot);
        plan.push((word(slot), Check::Word(index, abandoned.coroutine.0)));
        plan.extend(abandoned.words.iter().map(|(at, was)| (word(*at), Check::Exact(index, *was))));
    }
    for hold in strand.holds.iter().filter(|_| !strand.nestings.is_empty()) {
        let Some(activation) = strand.view.frames.get(hold.frame) else { continue };
        // Where the exit is bound to its lock, what lies above it is the block's own.
        let count = if python.exits_are_pairs() { 2 } else { 1 };
        let slots = (hold.slot..).zip(hold.pair).take(count);
        plan.extend(slots.map(|(slot, at)| (word(python.slot_address(activation.frame.at, slot)), Check::Word(index, at.0))));
    }
    let open = strand.open.iter().map(|opening| (opening.frame, &opening.locals));
    let spans = strand.spans.iter().map(|span| (span.frame, &span.locals));
    let spans = spans.chain(strand.writings.iter().map(|writing| (writing.frame, &writing.locals)));
    let spans = spans.chain(strand.paths.iter().map(|act| (act.frame, &act.locals)));
    let mut of_frames: Vec<(usize, &Vec<RemoteAddr>)> =
        open.chain(strand.coming.iter().map(|coming| (coming.frame, &coming.locals))).chain(spans).collect();
    of_frames.sort_by_key(|(frame, _)| *frame);
    of_frames.dedup_by_key(|(frame, _)| *frame);
    for (frame, locals) in of_frames {
        let Some(activation) = strand.view.frames.get(frame) else { continue };
        let locals = (0..).zip(locals);
        plan.extend(locals.map(|(slot, at)| (word(python.slot_address(activation.frame.at, slot)), Check::Word(index, at.0))));
    }
}

#[derive(Default)]
struct Verdict {
    in_place: Vec<bool>,
    detached: Vec<bool>,
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
    let knows = python.layout.thread.state.is_some();
    let mut verdict = Verdict { in_place: vec![true; strands.len()], detached: vec![knows; strands.len()], ..Verdict::default() };
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
            Check::Exact(index, expected) => require(*index, first == *expected),
            Check::Detached(index) => {
                if let Some(detached) = verdict.detached.get_mut(*index) {
                    *detached &= part.iter().all(|byte| *byte == 0);
                }
            }
            Check::Now(index, opening) => verdict.now.push((*index, *opening, RemoteAddr(first))),
        }
    }
    verdict
}
