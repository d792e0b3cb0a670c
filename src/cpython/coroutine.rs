//! Coroutines and generators: where they are suspended, and those that have not begun. Tasks are in [`super::task`].

use crate::target::address::RemoteAddr;
use crate::target::memory::{Fault, Memory};

use super::frame::{Position, RemoteFrame};
use super::python::Python;

const MOST_AWAITS: usize = 128;

/// A coroutine that has not begun, and that one reference keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unstarted {
    /// The coroutine's qualified name.
    pub name: String,
    /// The words that say so: where they are, and what they were.
    pub words: Vec<(RemoteAddr, u64)>,
}

impl<M: Memory> Python<M> {
    /// What is known of a coroutine that nobody has started and that only one reference leads to; `None` for all else.
    pub fn unstarted(&self, object: RemoteAddr) -> Option<Unstarted> {
        let layout = &self.layout.generator;
        if !self.type_of(object).ok()?.is_builtin("coroutine") {
            return None;
        }
        let word = |at: RemoteAddr| Some((at, self.memory.u64(at).ok()?));
        let is_free_threaded = self.layout.thread.state.is_some();
        // {references, …}; without a GIL {thread, flags and own references, others' references, …}.
        let references = word(object.plus(if is_free_threaded { 8 } else { 0 }))?;
        let mut words = vec![references];
        let mut held_once = references.1 as u32 == 1;
        if is_free_threaded {
            let others = word(object.plus(16))?;
            held_once = references.1 >> 32 == 1 && others.1 == 0;
            words.push(others);
        }
        let begun = match layout.state {
            Some(state) => {
                words.push(word(object.plus(state & !7))?);
                self.memory.u8(object.plus(state)).ok()?.cast_signed() != layout.created
            }
            None => {
                let frame = self.memory.pointer(object.plus(layout.frame)).ok()?;
                words.push(word(frame.plus(self.layout.frame.lasti? & !7))?);
                self.frame(frame).ok()?.position != Position::Start
            }
        };
        if begun || !held_once {
            return None;
        }
        let name = self.text(self.memory.pointer(object.plus(layout.qualname)).ok()?).ok()?;
        Some(Unstarted { name, words })
    }

    /// The frames of a suspended coroutine and of those that it awaits, innermost first. Empty for one that runs, has
    /// not begun, or has ended.
    ///
    /// # Errors
    /// When the outermost cannot be read.
    pub fn coroutine_frames(&self, coroutine: RemoteAddr) -> Result<Vec<RemoteFrame>, Fault> {
        let mut frames: Vec<RemoteFrame> = Vec::new();
        let mut next = coroutine;
        while frames.len() < MOST_AWAITS {
            let frame = match self.suspended_frame(next) {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(fault) if frames.is_empty() => return Err(fault),
                Err(_) => break,
            };
            if frames.iter().any(|known| known.at == frame.at) {
                break;
            }
            let awaited = self.awaited(&frame).unwrap_or(RemoteAddr::NULL);
            frames.push(frame);
            if awaited.is_null() {
                break;
            }
            next = awaited;
        }
        frames.reverse();
        Ok(frames)
    }

    /// The frame of a coroutine or generator, if that is what `object` is and it is suspended.
    fn suspended_frame(&self, object: RemoteAddr) -> Result<Option<RemoteFrame>, Fault> {
        let layout = &self.layout.generator;
        match self.type_of(object)?.name.as_str() {
            "coroutine" | "generator" | "async_generator" => {}
            // {header, cw_coroutine}: what `await` of a coroutine's `__await__` gives.
            "coroutine_wrapper" => {
                let inner = self.memory.pointer(object.plus(self.layout.object.header))?;
                return if self.type_of(inner)?.name == "coroutine" { self.suspended_frame(inner) } else { Ok(None) };
            }
            _ => return Ok(None),
        }
        let Some(state) = layout.state else {
            let frame = self.memory.pointer(object.plus(layout.frame))?;
            return if frame.is_null() { Ok(None) } else { self.frame(frame).map(|frame| frame.slots_in_use.map(|_| frame)) };
        };
        let state = self.memory.u8(object.plus(state))?.cast_signed();
        let frame = self.frame(object.plus(layout.frame))?;
        Ok((layout.suspended.contains(&state) && frame.slots_in_use.is_some()).then_some(frame))
    }

    /// What a suspended frame awaits: the top of its stack, or what is below a NULL there (3.15).
    fn awaited(&self, frame: &RemoteFrame) -> Option<RemoteAddr> {
        let top = frame.slots_in_use?;
        let two = self.slots_at(frame.at, top.checked_sub(2)?, 2).ok()?;
        two.into_iter().rfind(|entry| !entry.is_null())
    }
}
