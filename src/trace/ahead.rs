//! Reads a trace in a thread of its own, some batches ahead of whoever looks at the items. Keeps their order, and changes
//! none.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::{Item, Missing, Reader};

/// Items handed over at once: few enough to stay in a core's cache.
const BATCH: usize = 1 << 10;
/// Batches that wait to be looked at.
const AHEAD: usize = 8;

struct Batch {
    items: Vec<Item>,
    /// Bytes of the trace that were read for it and those before.
    position: u64,
}

/// Calls `each` with every item, in order, and with the number of bytes read so far; answers what is missing.
pub fn read(reader: Reader, mut each: impl FnMut(Item, u64)) -> Missing {
    let (full, batches) = sync_channel(AHEAD);
    let (empty, used) = sync_channel(AHEAD + 2);
    std::thread::scope(|scope| {
        let reading = scope.spawn(move || fill(reader, &full, &used));
        for Batch { mut items, position } in batches {
            items.drain(..).for_each(|item| each(item, position));
            // The reader makes new ones where none come back.
            let _ = empty.try_send(items);
        }
        reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Ends early only if nobody looks any more.
fn fill(mut reader: Reader, full: &SyncSender<Batch>, used: &Receiver<Vec<Item>>) -> Missing {
    loop {
        let mut items = used.try_recv().unwrap_or_else(|_| Vec::with_capacity(BATCH));
        items.extend(reader.by_ref().take(BATCH));
        let last = items.len() < BATCH;
        if full.send(Batch { items, position: reader.position() }).is_err() || last {
            return reader.missing().clone();
        }
    }
}
