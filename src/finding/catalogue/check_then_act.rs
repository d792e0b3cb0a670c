//! The page of `check-then-act`. Text only.

use super::Page;
use crate::finding::Kind;

pub(super) const PAGE: Page = Page {
    kind: Kind::CheckThenAct,
    title: "a decision is acted on after it may have stopped being true",
    severity: "error; warning when latent on this interpreter",
    what: "A condition on shared state is tested (`if key not in cache`, `if self.balance >= amount`, `if queue:`) and the \
           branch changes that same state. Another thread or task can change it between the test and the act, and \
           nothing prevents it.",
    why: "Both see the condition hold and both act: a singleton is built twice, an account goes below zero, `pop` from an \
          empty list raises, an expensive value is computed many times and all but one result is thrown away.",
    example: "_client = None

def client():
    global _client
    if _client is None:            # two threads can both get here
        _client = connect()
    return _client",
    fix: "Do the test and the act under one lock, or use one operation that does both: `dict.setdefault`, `dict.pop(key, \
          default)`, `queue.get_nowait()` with `except queue.Empty`, `functools.cache` behind a lock. If the first test is there for speed, \
          repeat it inside the lock.",
    fixed: "_client = None
_client_lock = threading.Lock()

def client():
    global _client
    if _client is None:
        with _client_lock:
            if _client is None:    # tested again, now that nobody can interfere
                _client = connect()
    return _client",
    false_alarm: "Doing the act twice may be harmless: a pure value computed twice and stored once more is only wasted work. \
                  If that is so and the cost is accepted, say it in the reason.",
};
