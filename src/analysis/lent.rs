//! Objects that go round through a list, deque or set: who puts one in is done with it, and who takes it out goes on from
//! there. Which one a strand has taken shows when it touches it. Queues are channels of their own, elsewhere.

use rustc_hash::FxHashMap;

use super::clock::Stamp;
use super::strand::StrandId;
use crate::event::ObjectId;

/// What was put in and not touched since by who took it out; with more all are forgotten, and with them their order.
const MOST: usize = 1 << 14;

#[derive(Debug, Default)]
pub struct Lent {
    items: FxHashMap<ObjectId, Item>,
    /// When a strand took something out of a container for the last time.
    takes: FxHashMap<ObjectId, FxHashMap<StrandId, u64>>,
    /// Of all containers together.
    taken: usize,
}

#[derive(Debug)]
struct Item {
    container: ObjectId,
    by: StrandId,
    sequence: u64,
    stamp: Stamp,
}

impl Lent {
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub fn put(&mut self, item: ObjectId, container: ObjectId, by: StrandId, sequence: u64, stamp: Stamp) {
        if self.items.len() >= MOST {
            self.items.clear();
        }
        self.items.insert(item, Item { container, by, sequence, stamp });
    }

    pub fn take(&mut self, container: ObjectId, by: StrandId, sequence: u64) {
        if self.taken >= MOST {
            self.takes.clear();
            self.taken = 0;
        }
        let before = self.takes.entry(container).or_default().insert(by, sequence);
        self.taken += usize::from(before.is_none());
    }

    /// The strand touches an object. What whoever put it in had done by then, if this strand has got it from there. Without
    /// a GIL (`at_once`) what is told first need not have been first.
    pub fn touch(&mut self, object: ObjectId, by: StrandId, at_once: bool) -> Option<Stamp> {
        let item = self.items.get(&object).filter(|item| item.by != by)?;
        let taken = *self.takes.get(&item.container)?.get(&by)?;
        if taken < item.sequence && !at_once {
            return None;
        }
        self.items.remove(&object).map(|item| item.stamp)
    }

    pub fn end(&mut self, object: ObjectId) {
        self.items.remove(&object);
        self.taken -= self.takes.remove(&object).map_or(0, |by| by.len());
    }
}
