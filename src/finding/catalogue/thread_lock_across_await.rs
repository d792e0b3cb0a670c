//! The page of `thread-lock-across-await`. Text only.

use super::Page;
use crate::finding::Kind;

pub(super) const PAGE: Page = Page {
    kind: Kind::ThreadLockAcrossAwait,
    title: "a task gives way while it holds a threading lock",
    severity: "error",
    what: "A coroutine awaits inside `with` of a `threading` lock, or an event loop's thread blocks on one.",
    why: "A `threading` lock belongs to the thread, and all tasks of a loop share that thread. The next task that wants the lock blocks the whole \
          loop, the holder included: it can never be resumed to release the lock. With an `RLock` the second task simply gets in, and \
          the lock protects nothing.",
    example: "lock = threading.Lock()

async def refresh():
    with lock:
        cache[\"page\"] = await fetch()",
    fix: "Use `asyncio.Lock` with `async with` between tasks. If threads share the state too, await first and take the \
          threading lock only for the short step that does not await; or hand blocking work to `asyncio.to_thread`.",
    fixed: "lock = threading.Lock()

async def refresh():
    page = await fetch()
    with lock:                       # no await inside
        cache[\"page\"] = page",
    false_alarm: "Only one task and no other thread ever takes the lock. Then it is not needed.",
};
