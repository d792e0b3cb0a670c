//! Locks: whether they are held, and by whom where the interpreter knows. Layouts are told apart by size, because
//! `_thread.lock` changed within 3.13. Who holds a plain lock is written nowhere; see the `with` blocks on the stacks.

use crate::target::address::RemoteAddr;
use crate::target::memory::{Fault, Memory};

use super::python::{Python, word_at};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockState {
    pub at: RemoteAddr,
    pub reentrant: bool,
    pub locked: bool,
    /// Somebody waits for it, as far as the lock knows (it does where it has no futex of its own).
    pub contended: bool,
    /// `threading.get_ident()` of the owner, for locks that know it.
    pub owner: Option<u64>,
    /// The word on which a waiter sleeps, where it belongs to the lock alone.
    pub futex: Option<RemoteAddr>,
}

impl<M: Memory> Python<M> {
    /// The state of a `_thread.lock` or `_thread.RLock`; `None` for other objects.
    ///
    /// # Errors
    /// When the object cannot be read.
    pub fn lock(&self, object: RemoteAddr) -> Result<Option<LockState>, Fault> {
        let class = self.type_of(object)?;
        let reentrant = match class.name.as_str() {
            "_thread.lock" => false,
            "_thread.RLock" => true,
            _ => return Ok(None),
        };
        let header = self.layout.object.header;
        let body = class.basicsize.wrapping_sub(header);
        let mut bytes = [0; 32];
        self.memory.read(object.plus(header), &mut bytes[..usize::try_from(body.min(32)).unwrap_or(32)])?;
        // {PyThread_type_lock, weakrefs, char locked} or {PyMutex};
        // {PyThread_type_lock, owner, count, weakrefs} or {PyMutex, owner, level}.
        let pooled = if reentrant { body < 32 } else { body < 24 };
        let futex = (!pooled).then(|| RemoteAddr(word_at(&bytes, 0)));
        Ok(Some(if reentrant {
            let (owner, count) = (word_at(&bytes, 8), word_at(&bytes, 16));
            let locked = if pooled { bytes[0] & 1 == 1 } else { count > 0 };
            let contended = pooled && bytes[0] & 2 != 0;
            LockState {
                at: object,
                reentrant,
                locked,
                contended,
                owner: Some(owner).filter(|&owner| locked && owner != 0),
                futex,
            }
        } else {
            let flag = if pooled { bytes[0] } else { bytes[16] };
            let contended = pooled && flag & 2 != 0;
            LockState { at: object, reentrant, locked: flag & 1 == 1, contended, owner: None, futex }
        }))
    }

    /// The lock behind an object that can stand in a `with`: the lock itself, or that of a `threading.Condition`.
    ///
    /// # Errors
    /// When the object cannot be read.
    pub fn lock_behind(&self, object: RemoteAddr) -> Result<Option<LockState>, Fault> {
        if let Some(state) = self.lock(object)? {
            return Ok(Some(state));
        }
        if self.type_of(object)?.name != "Condition" {
            return Ok(None);
        }
        match self.attribute(object, "_lock")? {
            Some(inner) => self.lock(inner),
            None => Ok(None),
        }
    }

    /// If the value-stack entry `slot` is what a `with` (or `async with`) statement leaves there until its end: the
    /// object that the statement entered. `above` is the entry above, where newer versions keep the object.
    ///
    /// # Errors
    /// When an object cannot be read.
    pub fn entered(&self, slot: RemoteAddr, above: RemoteAddr) -> Result<Option<Entered>, Fault> {
        let Some((name, receiver)) = self.callable(slot)? else { return Ok(None) };
        let is_async = match name.as_str() {
            "__exit__" => false,
            "__aexit__" => true,
            _ => return Ok(None),
        };
        let object = receiver.unwrap_or(above);
        Ok((!object.is_null()).then_some(Entered { object, is_async }))
    }

    /// Does a `with` statement leave two entries on the value stack, the exit and its object (3.14+)?
    pub fn exits_are_pairs(&self) -> bool {
        self.layout.frame.stack_pointer.is_some() && self.layout.frame.owner.is_some()
    }

    /// The name of a function or method and, if it is bound, its receiver.
    ///
    /// # Errors
    /// When the object cannot be read.
    pub fn callable(&self, object: RemoteAddr) -> Result<Option<(String, Option<RemoteAddr>)>, Fault> {
        if object.is_null() {
            return Ok(None);
        }
        let header = self.layout.object.header;
        let of_function = |function: RemoteAddr| {
            let code = self.memory.pointer(function.plus(self.layout.function.code))?;
            self.text(self.memory.pointer(code.plus(self.layout.code.name))?)
        };
        Ok(match self.type_of(object)?.name.as_str() {
            "builtin_function_or_method" | "method-wrapper" => {
                let definition = self.memory.pointer(object.plus(self.layout.builtin.definition))?;
                let name = self.memory.c_string(self.memory.pointer(definition)?, 64)?;
                let receiver = self.memory.pointer(object.plus(self.layout.builtin.receiver))?;
                Some((name, Some(receiver).filter(|receiver| !receiver.is_null())))
            }
            "method" => {
                let function = self.memory.pointer(object.plus(self.layout.method.function))?;
                if !self.type_of(function)?.is_builtin("function") {
                    return Ok(None);
                }
                Some((of_function(function)?, Some(self.memory.pointer(object.plus(self.layout.method.receiver))?)))
            }
            "function" => Some((of_function(object)?, None)),
            // {header, d_type, d_name, …}
            "method_descriptor" => Some((self.text(self.memory.pointer(object.plus(header + 8))?)?, None)),
            _ => None,
        })
    }
}

/// What a `with` statement entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entered {
    pub object: RemoteAddr,
    pub is_async: bool,
}
