//! An interpreter process that was found: its version, layout and memory, and its interpreters and threads. Everything
//! else in this folder extends [`Python`] by what it can read. It caches what cannot change while the process lives.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use racetrace_probes::version::Version;
use rustc_hash::FxHashMap;

use crate::target::address::RemoteAddr;
use crate::target::memory::{Fault, Memory, Piece};

use super::discovery::Runtime;
use super::layout::Layout;
use super::object::TypeInfo;

/// A reader of one interpreter process.
#[derive(Debug)]
pub struct Python<M> {
    pub memory: M,
    /// Modules that were looked for in vain, by `sys.modules` and name, with its keys and size then.
    pub(super) absent: RefCell<HashMap<(RemoteAddr, String), (RemoteAddr, u64)>>,
    pub layout: Layout,
    pub version: Version,
    pub runtime: RemoteAddr,
    pub(super) types: RefCell<FxHashMap<RemoteAddr, Rc<TypeInfo>>>,
    /// Where text keys were found, by the table's entries.
    pub(super) keys: RefCell<FxHashMap<RemoteAddr, KnownKeys>>,
}

/// By text, the entry's index and the key object.
type KnownKeys = FxHashMap<String, (u64, RemoteAddr)>;

/// One (sub-)interpreter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interpreter {
    pub at: RemoteAddr,
    pub id: u64,
    /// Its GIL; null where there is none.
    pub gil: RemoteAddr,
}

/// One thread state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThreadState {
    pub at: RemoteAddr,
    pub interpreter: Interpreter,
    /// `threading.get_ident()`: what lock owners are compared with.
    pub ident: u64,
    /// The kernel's id as the process itself sees it, where the interpreter knows it.
    pub native: Option<u32>,
}

/// The state of a GIL at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gil {
    pub last_holder: RemoteAddr,
    pub locked: bool,
    /// Counts hand-overs from one thread to another.
    pub switches: u64,
    /// Microseconds after which a thread is asked to give way.
    pub interval: u64,
}

/// No program has more; what has is a damaged list.
const MOST_INTERPRETERS: usize = 256;
const MOST_THREADS: usize = 16_384;

impl<M: Memory> Python<M> {
    pub fn new(memory: M, runtime: &Runtime) -> Python<M> {
        Python {
            memory,
            absent: RefCell::default(),
            layout: runtime.layout.clone(),
            version: runtime.version,
            runtime: runtime.at,
            types: RefCell::default(),
            keys: RefCell::default(),
        }
    }

    /// # Errors
    /// When the list cannot be read.
    pub fn interpreters(&self) -> Result<Vec<Interpreter>, Fault> {
        let mut all: Vec<Interpreter> = Vec::new();
        let mut next = self.memory.pointer(self.runtime.plus(self.layout.runtime.interpreters_head))?;
        while !next.is_null() && all.len() < MOST_INTERPRETERS && !all.iter().any(|known| known.at == next) {
            let gil = match (self.layout.interpreter.gil, self.layout.runtime.gil) {
                (Some(offset), _) => self.memory.pointer(next.plus(offset))?,
                (None, Some(offset)) => self.runtime.plus(offset),
                (None, None) => RemoteAddr::NULL,
            };
            let id = self.memory.u64(next.plus(self.layout.interpreter.id))?;
            all.push(Interpreter { at: next, id, gil: if self.version.free_threaded { RemoteAddr::NULL } else { gil } });
            next = self.memory.pointer(next.plus(self.layout.interpreter.next))?;
        }
        Ok(all)
    }

    /// The threads of all interpreters, newest first as the interpreter lists them.
    ///
    /// # Errors
    /// When the lists' heads cannot be read; a list that breaks off in the middle is cut there.
    pub fn threads(&self) -> Result<Vec<ThreadState>, Fault> {
        let mut all = Vec::new();
        let mut seen = HashSet::new();
        for interpreter in self.interpreters()? {
            let mut next = self.memory.pointer(interpreter.at.plus(self.layout.interpreter.threads_head))?;
            // A list that comes back to itself was damaged, or changed while it was read.
            while !next.is_null() && all.len() < MOST_THREADS && seen.insert(next) {
                let Ok((thread, following)) = self.thread(next, interpreter) else { break };
                all.push(thread);
                next = following;
            }
        }
        Ok(all)
    }

    /// A thread, and where the next one is.
    fn thread(&self, at: RemoteAddr, interpreter: Interpreter) -> Result<(ThreadState, RemoteAddr), Fault> {
        let layout = &self.layout.thread;
        let last = layout.thread_id.max(layout.interpreter).max(layout.next).max(layout.native_thread_id.unwrap_or(0));
        let fields = self.memory.bytes(at, usize::try_from(last).unwrap_or(usize::MAX).saturating_add(8))?;
        if word_at(&fields, layout.interpreter) != interpreter.at.0 {
            return Err(Fault::Unreadable(at));
        }
        let ident = word_at(&fields, layout.thread_id);
        let native = match layout.native_thread_id {
            Some(offset) => Some(word_at(&fields, offset)),
            // glibc on x86-64 and aarch64 keeps the kernel's id there, in all versions that matter; the caller checks it
            // against the kernel's list.
            None => self.memory.u32(RemoteAddr(ident).plus(PTHREAD_TID)).ok().map(u64::from),
        };
        let native = native.and_then(|tid| u32::try_from(tid).ok()).filter(|&tid| tid != 0);
        Ok((ThreadState { at, interpreter, ident, native }, RemoteAddr(word_at(&fields, layout.next))))
    }

    /// # Errors
    /// When it cannot be read.
    pub fn gil(&self, gil: RemoteAddr) -> Result<Gil, Fault> {
        let mut bytes = [0; GIL_SIZE];
        self.memory.read(gil, &mut bytes)?;
        Ok(self.gil_in(&bytes))
    }

    /// The GIL as it is now, whatever of its memory is kept.
    pub(crate) fn gil_now(&self, gil: RemoteAddr) -> Option<Gil> {
        let mut bytes = [0; GIL_SIZE];
        let read = self.memory.gather(&[Piece { at: gil, len: GIL_SIZE }], &mut bytes).ok()?;
        (read == GIL_SIZE).then(|| self.gil_in(&bytes))
    }

    /// The same from bytes that were read along with others.
    pub(crate) fn gil_in(&self, bytes: &[u8]) -> Gil {
        let layout = &self.layout.gil;
        let field = |offset: u64| word_at(bytes, offset);
        Gil {
            last_holder: RemoteAddr(field(layout.last_holder)),
            locked: half_at(bytes, layout.locked).cast_signed() > 0,
            switches: field(layout.switch_number),
            interval: field(layout.interval),
        }
    }
}

/// `offsetof(struct pthread, tid)`.
const PTHREAD_TID: u64 = 720;
/// Bytes of the GIL's structure that are of interest.
pub(crate) const GIL_SIZE: usize = 40;

/// The word at `offset` of a structure that was read as bytes; 0 where it ends before.
pub(crate) fn word_at(bytes: &[u8], offset: u64) -> u64 {
    usize::try_from(offset)
        .ok()
        .and_then(|offset| bytes.get(offset..offset.checked_add(8)?)?.try_into().ok())
        .map_or(0, u64::from_ne_bytes)
}

/// The 32-bit word at `offset`.
pub(crate) fn half_at(bytes: &[u8], offset: u64) -> u32 {
    usize::try_from(offset)
        .ok()
        .and_then(|offset| bytes.get(offset..offset.checked_add(4)?)?.try_into().ok())
        .map_or(0, u32::from_ne_bytes)
}
