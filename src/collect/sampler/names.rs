//! What `threading` calls the threads: looked up when a thread is first seen, and now and then again, because names
//! change. A thread that `threading` does not know is asked about a few times only.

use std::rc::Rc;

use rustc_hash::FxHashMap;

use crate::cpython::python::{Python, ThreadState};
use crate::target::memory::Memory;

/// Names by `get_ident()`.
#[derive(Debug, Default)]
pub(super) struct ThreadNames {
    known: FxHashMap<u64, Rc<str>>,
    /// How often it was asked in vain.
    unknown: FxHashMap<u64, u32>,
}

/// A thread can be seen before it has entered itself.
const MOST_TRIES: u32 = 8;

impl ThreadNames {
    pub fn forget(&mut self) {
        self.known.clear();
        self.unknown.clear();
    }

    /// Another thread has that ident now.
    pub fn forget_one(&mut self, ident: u64) {
        self.known.remove(&ident);
        self.unknown.remove(&ident);
    }

    /// Looks up the names that are not known yet, all in one go.
    pub fn find<'a, M: Memory>(&mut self, python: &Python<M>, threads: impl Iterator<Item = &'a ThreadState>) {
        let is_wanted =
            |ident: &u64| !self.known.contains_key(ident) && self.unknown.get(ident).is_none_or(|tries| *tries < MOST_TRIES);
        let mut wanted: Vec<(u64, _)> =
            threads.filter(|state| is_wanted(&state.ident)).map(|state| (state.ident, state.interpreter.at)).collect();
        wanted.sort_unstable();
        let mut interpreters: Vec<_> = wanted.iter().map(|(_, interpreter)| *interpreter).collect();
        interpreters.sort_unstable();
        interpreters.dedup();
        for interpreter in interpreters {
            let is_asked = |ident: u64| wanted.binary_search(&(ident, interpreter)).is_ok();
            let found = python.thread_names_of(interpreter, is_asked).unwrap_or_default();
            self.known.extend(found.into_iter().map(|(ident, name)| (ident, name.into())));
        }
        for (ident, _) in wanted {
            if !self.known.contains_key(&ident) {
                *self.unknown.entry(ident).or_default() += 1;
            }
        }
    }

    pub fn of(&self, ident: u64) -> Rc<str> {
        self.known.get(&ident).cloned().unwrap_or_else(|| "(unnamed)".into())
    }
}
