//! The page of `deadlock`. Text only.

use super::Page;
use crate::finding::Kind;

pub(super) const PAGE: Page = Page {
    kind: Kind::Deadlock,
    title: "threads wait for each other and none can go on",
    severity: "error",
    what: "Each thread or task of a cycle waits, without a timeout, for a lock that the next one holds. A thread that waits for a \
           lock it already holds itself is a cycle of one; `join()` of a thread that needs a lock held meanwhile closes a cycle, \
           too. Or every thread of the process waits for what only another could do: set an event, fill a queue, end, or \
           complete a future that waits for a free worker of the same pool.",
    why: "These threads never run again. Whoever needs one of their locks stops too, until the process is killed.",
    example: "def transfer(source, target, amount):
    with source.lock:
        with target.lock:            # transfer(a, b) and transfer(b, a) at once
            source.balance -= amount
            target.balance += amount",
    fix: "Release locks before `join()` and `result()`, and do not wait for a pool's result inside a job of that pool. \
          Take locks in one order everywhere (by id or by name), or use one lock for both. Use an `RLock` where a method that \
          holds the lock calls another that takes it. Do not call foreign code while holding a lock.",
    fixed: "def transfer(source, target, amount):
    first, second = sorted((source, target), key=lambda account: account.number)
    with first.lock, second.lock:
        source.balance -= amount
        target.balance += amount",
    false_alarm: "Hardly ever: the threads were waiting for each other when they were looked at. If a watchdog outside is meant to break the \
                  cycle, say so in the reason.",
};
