//! The page of `lock-held-across-await`. Text only.

use super::Page;
use crate::finding::Kind;

pub(super) const PAGE: Page = Page {
    kind: Kind::LockHeldAcrossAwait,
    title: "an asyncio lock is held over a long await while others queue for it",
    severity: "warning",
    what: "A task holds an `asyncio.Lock` while it awaits something slow, and other tasks were measured waiting for the lock. \
           Told from 50 ms on (100 ms with --pid), or what --long-hold says; time in which the event loop is busy does not count.",
    why: "The program is correct but runs one request at a time: the lock turns concurrency back into a queue, and one slow peer stops everyone.",
    example: "async def price(item):
    async with lock:
        if item not in cache:
            cache[item] = await fetch(item)    # everyone waits, whatever item they want
        return cache[item]",
    fix: "Keep the slow await outside the lock, or make the lock finer: one per key, or keep the pending future in the cache so that a \
          second caller awaits the same fetch. Check again after the await whether the state is still what it was.",
    fixed: "async def price(item):
    if item not in pending:                    # no await between test and store
        pending[item] = asyncio.create_task(fetch(item))
    return await pending[item]",
    false_alarm: "The lock is there to let only one through, such as a rate limit or a device that serves one caller.",
};
