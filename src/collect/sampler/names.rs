//! What `threading` calls the threads: looked up when a thread is first seen, and now and then again, because names
//! change. A thread that `threading` does not know is asked about a few times only.

use std::rc::Rc;

use rustc_hash::FxHashMap;

use crate::cpython::python::Python;
use crate::target::memory::Memory;

use super::strand::ThreadView;

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

    /// Looks up the names that are not known yet: where the threads' own frames lead to their objects there, else in
    /// `threading`'s table, all in one go.
    pub fn find<M: Memory>(&mut self, python: &Python<M>, threads: &[ThreadView]) {
        let mut wanted = Vec::new();
        for thread in threads {
            let ident = thread.state.ident;
            if self.known.contains_key(&ident) || self.unknown.get(&ident).is_some_and(|tries| *tries >= MOST_TRIES) {
                continue;
            }
            match own_name(python, thread) {
                Some(name) => drop(self.known.insert(ident, name.into())),
                None => wanted.push((ident, thread.state.interpreter.at)),
            }
        }
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

/// The name of the `Thread` whose `_bootstrap` is the thread's outermost function.
fn own_name<M: Memory>(python: &Python<M>, thread: &ThreadView) -> Option<String> {
    let outermost = thread.frames.last()?;
    let code = &outermost.code.remote.code;
    if code.name != "_bootstrap" || !code.filename.ends_with("/threading.py") {
        return None;
    }
    let object = *python.slots(outermost.frame.at, 1).ok()?.first().filter(|object| !object.is_null())?;
    python.text(python.attribute(object, "_name").ok()??).ok()
}
