//! The page of `lock-order-inversion`. Text only.

use super::Page;
use crate::finding::Kind;

pub(super) const PAGE: Page = Page {
    kind: Kind::LockOrderInversion,
    title: "locks are taken in opposite orders: a deadlock that did not happen this time",
    severity: "warning",
    what: "One thread took lock A and then B, another took B and then A (or a longer cycle). No further lock was held by \
           both that would keep them apart, and neither certainly ran before the other.",
    why: "The day both get their first lock at the same moment, both wait forever. It may take months and a busier machine.",
    example: "def save():
    with cache_lock:
        with file_lock: ...

def reload():
    with file_lock:
        with cache_lock: ...",
    fix: "Agree on one order and keep to it everywhere; write it down next to the locks. Often the inner section can move \
          out: copy what is needed under the first lock, release it, then take the second.",
    fixed: "# order: cache_lock before file_lock
def save():
    with cache_lock:
        with file_lock: ...

def reload():
    with cache_lock:
        with file_lock: ...",
    false_alarm: "The two orders can never run at the same time for a reason racetrace cannot see, such as different phases of the program \
                  separated by something other than start, join or a queue.",
};
