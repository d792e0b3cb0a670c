//! The page of `unawaited-coroutine`. Text only.

use super::Page;
use crate::finding::Kind;

pub(super) const PAGE: Page = Page {
    kind: Kind::UnawaitedCoroutine,
    title: "a coroutine was made and thrown away without ever running",
    severity: "warning",
    what: "An `async def` function was called without `await`. The call only makes a coroutine object; its body never ran.",
    why: "The work silently does not happen: a message is not sent, a row is not saved. Python prints a warning at some later moment, \
          often into a log that nobody reads.",
    example: "async def on_order(order):
    save(order)                    # save is async: nothing is saved
    await confirm(order)",
    fix: "Await it. To let it run beside the caller make it a task and keep a reference, best in an `asyncio.TaskGroup` \
          (3.11+), so that its errors are not lost.",
    fixed: "async def on_order(order):
    await save(order)
    await confirm(order)",
    false_alarm: "The coroutine was dropped on purpose, in a test for example. Calling `close()` on it says so to Python and to racetrace.",
};
