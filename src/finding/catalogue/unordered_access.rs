//! The page of `unordered-access`. Text only.

use super::Page;
use crate::finding::Kind;

pub(super) const PAGE: Page = Page {
    kind: Kind::UnorderedAccess,
    title: "two accesses without order or lock, each complete in itself",
    severity: "note",
    what: "One thread writes and another reads or writes the same variable, attribute or container, and nothing orders the two. No decision \
           and no update was seen to depend on the value in between.",
    why: "Usually it does not: a polled stop flag, a published immutable object, `list.append` from many threads are normal Python. \
          It matters when the order of results does, or when someone later puts a decision in between.",
    example: "running = True

def worker():
    while running:
        step()

def stop():
    global running
    running = False",
    fix: "Nothing, if the reader may see the old value for a while. Otherwise make the order explicit: `threading.Event` for \
          a flag, a `queue.Queue` for results, `join` before reading what a thread has produced.",
    fixed: "stopping = threading.Event()

def worker():
    while not stopping.is_set():
        step()

def stop():
    stopping.set()",
    false_alarm: "It is a note and never fails a run. Notes can be left out with `--severity warning`.",
};
