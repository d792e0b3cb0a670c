//! Containers: their sizes, and what a suspended loop knows of the container that it walks.

use crate::target::address::RemoteAddr;
use crate::target::memory::Memory;

use super::python::Python;

impl<M: Memory> Python<M> {
    /// The container behind an iterator, the size that it had when the loop began, and the size that it has now; for
    /// iterators that remember (of dicts, their views, and sets). A loop over a list goes by position and remembers none.
    pub fn walked(&self, iterator: RemoteAddr) -> Option<(RemoteAddr, u64, u64)> {
        let class = self.type_of(iterator).ok()?;
        let header = self.layout.object.header;
        // {header, container, size at the beginning, position, …}
        let size_at = match class.name.as_str() {
            "dict_keyiterator" | "dict_valueiterator" | "dict_itemiterator" => self.layout.dict.used,
            "set_iterator" => self.layout.set.used,
            _ => return None,
        };
        let container = self.memory.pointer(iterator.plus(header)).ok()?;
        if container.is_null() {
            return None;
        }
        let began = self.memory.u64(iterator.plus(header + 8)).ok()?;
        let now = self.memory.u64(container.plus(size_at)).ok()?;
        // Once the loop has noticed, the iterator holds a number that no container has.
        (began != now && began < LARGEST_CONTAINER).then_some((container, began, now))
    }
}

const LARGEST_CONTAINER: u64 = 1 << 40;
