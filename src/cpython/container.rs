//! Containers: their sizes, and what a suspended loop knows of the container that it walks.

use crate::target::address::RemoteAddr;
use crate::target::memory::Memory;

use super::python::Python;

impl<M: Memory> Python<M> {
    /// Where the element of a list lies, counted from the end if `index` is negative.
    pub fn list_slot(&self, list: RemoteAddr, index: i64) -> Option<RemoteAddr> {
        let size = self.memory.u64(list.plus(self.layout.object.size)).ok()?.cast_signed();
        let index = if index < 0 { index.checked_add(size)? } else { index };
        let items = self.memory.pointer(list.plus(self.layout.list.items)).ok()?;
        (0..size).contains(&index).then(|| items.offset(index.wrapping_mul(8)))
    }

    /// The container that an iterator walks. A list that stands where an iterator would is walked itself (3.15).
    pub fn walked(&self, iterator: RemoteAddr) -> Option<Walked> {
        let class = self.type_of(iterator).ok()?;
        let header = self.layout.object.header;
        // {header, container, size at the beginning, position, …}; of lists {header, position, list}
        let (at, size_at) = match class.name.as_str() {
            "dict_keyiterator" | "dict_valueiterator" | "dict_itemiterator" => (header, self.layout.dict.used),
            "set_iterator" => (header, self.layout.set.used),
            "list_iterator" => (header + 8, self.layout.object.size),
            "list" => (0, self.layout.object.size),
            _ => return None,
        };
        let container = if at == 0 { iterator } else { self.memory.pointer(iterator.plus(at)).ok()? };
        if container.is_null() {
            return None;
        }
        let size_at = container.plus(size_at);
        let now = self.memory.u64(size_at).ok()?;
        // A loop over a list goes by position and remembers no size.
        let began = if at == header { self.memory.u64(iterator.plus(header + 8)).ok()? } else { now };
        // Once the loop has noticed, the iterator holds a number that no container has.
        let words = if at == header {
            vec![(iterator.plus(at), container.0), (iterator.plus(header + 8), began), (size_at, now)]
        } else {
            Vec::new()
        };
        (began < LARGEST_CONTAINER).then_some(Walked { container, began, now, words })
    }
}

/// What a suspended loop knows of the container that it walks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walked {
    pub container: RemoteAddr,
    /// The container's size when the loop began, and now.
    pub began: u64,
    pub now: u64,
    /// The words that say so: where they are, and what they were.
    pub words: Vec<(RemoteAddr, u64)>,
}

const LARGEST_CONTAINER: u64 = 1 << 40;
