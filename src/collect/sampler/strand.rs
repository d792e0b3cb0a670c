//! Threads as they stand at one moment: their frames, positions and names. What they hold and wait for is found in
//! [`super::locks`].

use std::cell::RefCell;
use std::rc::Rc;

use rustc_hash::FxHashMap;

use crate::cpython::frame::RemoteFrame;
use crate::cpython::python::{Python, ThreadState};
use crate::target::address::RemoteAddr;
use crate::target::memory::{Fault, Memory};
use crate::target::threads;

use super::codes::{Codes, KnownCode};

/// A frame with its code and the instruction it is at.
#[derive(Debug, Clone)]
pub struct Activation {
    pub frame: RemoteFrame,
    pub code: Rc<KnownCode>,
    pub offset: u32,
}

impl Activation {
    pub fn line(&self) -> u32 {
        self.code.line(self.offset)
    }

    /// Number of slots before the value stack.
    pub fn locals(&self) -> u32 {
        u32::try_from(self.code.remote.code.locals.len()).unwrap_or(u32::MAX)
    }
}

/// One thread at one moment.
#[derive(Debug, Clone)]
pub struct ThreadView {
    pub state: ThreadState,
    /// The kernel's id, as we see it.
    pub tid: Option<u32>,
    /// Innermost first.
    pub frames: Vec<Activation>,
    /// All frames, those of C code too.
    pub chain: Vec<RemoteFrame>,
    /// The words that lead to the innermost frame: where they are, and what they were.
    pub head: Vec<(RemoteAddr, RemoteAddr)>,
}

/// `None` for frames that are being set up or torn down.
pub fn activation<M: Memory>(python: &Python<M>, codes: &mut Codes, frame: RemoteFrame) -> Option<Activation> {
    let code = codes.get(python, frame.code)?;
    let offset = match frame.offset(code.remote.start, code.remote.code.bytecode.len()) {
        Some(offset) => code.instruction(offset),
        None => 0,
    };
    Some(Activation { frame, code, offset })
}

/// Threads with their frames.
///
/// # Errors
/// When the process is gone or closed to us.
pub fn threads<M: Memory>(
    python: &Python<M>,
    codes: &mut Codes,
    tids: &TidMap,
    states: Vec<ThreadState>,
) -> Result<Vec<ThreadView>, Fault> {
    let heads = python.current_frames(&states)?;
    let innermost: Vec<RemoteAddr> = heads.iter().map(|head| head.last().map_or(RemoteAddr::NULL, |(_, frame)| *frame)).collect();
    let chains = python.chains(&innermost)?;
    let knows_itself = python.layout.thread.native_thread_id.is_some();
    let outer = |native: u32| if knows_itself { tids.outer(native) } else { tids.checked(native) };
    Ok(states
        .into_iter()
        .zip(heads)
        .zip(chains)
        .map(|((state, head), chain)| {
            let frames = chain
                .iter()
                .filter(|frame| python.is_pythons(frame))
                .filter_map(|frame| activation(python, codes, *frame))
                .collect();
            ThreadView { tid: state.native.and_then(outer), frames, chain, head, state }
        })
        .collect())
}

/// From the thread ids that a process sees to those that we see, as far as the kernel knows them.
#[derive(Debug, Default)]
pub struct TidMap {
    pid: u32,
    /// It is in another pid namespace, where threads have other ids.
    apart: bool,
    known: RefCell<FxHashMap<u32, Option<u32>>>,
}

impl TidMap {
    pub fn of(pid: u32) -> TidMap {
        TidMap { pid, apart: threads::inner(pid, pid) != pid, known: RefCell::default() }
    }

    /// For an id of which the process is sure.
    pub fn outer(&self, inner: u32) -> Option<u32> {
        if self.apart { self.checked(inner) } else { Some(inner) }
    }

    /// Asks the kernel, once for each thread.
    pub fn checked(&self, inner: u32) -> Option<u32> {
        let mut known = self.known.borrow_mut();
        if !self.apart {
            return *known.entry(inner).or_insert_with(|| threads::exists(self.pid, inner).then_some(inner));
        }
        // One that is not known has begun since they were listed.
        if !known.contains_key(&inner) {
            known.extend(threads::list(self.pid).into_iter().map(|tid| (threads::inner(self.pid, tid), Some(tid))));
        }
        *known.entry(inner).or_default()
    }

    /// Forgets what was asked: ids are used again.
    pub fn forget(&self) {
        self.known.borrow_mut().clear();
    }
}
