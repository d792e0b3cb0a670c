//! Threads that run freely: nothing on their whole stack, from the thread's start on, can take a lock or wait for another
//! thread. The windows that such a thread comes to are protected by nobody, whatever moment they are seen at; so this
//! needs no moment of rest, and sees also threads that run.

use crate::cpython::frame::RemoteFrame;
use crate::cpython::python::Python;
use crate::target::memory::Memory;

use super::codes::{Codes, KnownCode};
use super::course;
use super::found::{Comes, Coming, Strand};
use super::plain::{Asked, Plain, Plainness};
use super::roots;
use super::value::Scope;
use super::ways::Standing;

/// The windows that a freely running thread comes to, on subjects that were there before it.
pub(super) fn read_working<M: Memory>(
    python: &Python<M>,
    codes: &mut Codes,
    known: &mut Plainness,
    strand: &mut Strand,
    is_users: impl Fn(&KnownCode) -> bool,
) {
    let frames = &strand.view.frames;
    if strand.task.is_some() || strand.waited.is_some() || frames.len() > DEEPEST {
        return;
    }
    let Some((own, roots)) = roots::of_thread(python, frames) else { return };
    let mut plain = Plain { python, codes, known, asked: Asked::Waits };
    // The outermost first: it is the one that usually waits for something.
    if !own.iter().rev().all(|frame| Scope::of_frame(python, frame).is_some_and(|scope| plain.is_whole_plain(&scope, frame))) {
        return;
    }
    let mut found: Vec<Coming> = Vec::new();
    for (index, frame) in own.iter().enumerate().filter(|(_, frame)| is_users(&frame.code)) {
        let standing = Standing::of(index);
        let Some(scope) = Scope::of_frame(python, frame) else { continue };
        let reached = course::reached(python, codes, &frame.code, &scope, Some((frame.offset, standing)), &is_users);
        let shared = reached.into_iter().filter(|window| roots.were_there(python, frame, &window.subject));
        found.extend(shared.map(|window| Coming {
            frame: index,
            act: Comes::Window { window: window.window, read: window.read, write: window.write },
            via: window.via,
            subject: window.subject,
            locals: Vec::new(),
            rival: None,
            passed: false,
        }));
    }
    // A thread that runs may have been in two places while it was read: it must still have the same frames.
    if !found.is_empty() && own.iter().all(|frame| is_still(python, &frame.frame)) {
        strand.working = found;
    }
}

/// Deeper stacks are not those of small workers, and dear to look at.
const DEEPEST: usize = 24;

fn is_still<M: Memory>(python: &Python<M>, frame: &RemoteFrame) -> bool {
    let now = python.frame_now(frame.at);
    now.is_some_and(|now| (now.code, now.globals, now.previous) == (frame.code, frame.globals, frame.previous))
}
