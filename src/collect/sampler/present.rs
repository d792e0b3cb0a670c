//! The values that subjects have now. Nobody keeps them for us: a value counts only if its slot still holds it after it was
//! read. Each is read once a look, however many strands hold an older one.

use rustc_hash::FxHashMap;

use crate::cpython::object::Shown;
use crate::cpython::python::Python;
use crate::target::address::RemoteAddr;
use crate::target::memory::Memory;
use crate::target::view::View;

/// What a slot holds.
#[derive(Debug, Clone)]
pub(super) struct Present {
    pub pointer: Option<RemoteAddr>,
    pub value: Option<Shown>,
}

/// By slot, and what was seen in it when the strands were verified.
#[derive(Debug, Default)]
pub(super) struct Presents {
    known: FxHashMap<(RemoteAddr, RemoteAddr), Present>,
}

impl Presents {
    pub fn forget(&mut self) {
        self.known.clear();
    }

    pub fn of<M: Memory>(&mut self, python: &Python<View<M>>, slot: RemoteAddr, seen: RemoteAddr) -> Present {
        let read = || {
            let pointer = python.pointer_now(slot);
            let value = python.memory.anew(|| python.show(seen).ok());
            Present { pointer, value: value.filter(|_| python.pointer_now(slot) == Some(seen)) }
        };
        self.known.entry((slot, seen)).or_insert_with(read).clone()
    }
}
