//! The page of `read-modify-write`. Text only.

use super::Page;
use crate::finding::Kind;

pub(super) const PAGE: Page = Page {
    kind: Kind::ReadModifyWrite,
    title: "an update is computed from a value that may be out of date when it is stored",
    severity: "error; warning when latent on this interpreter",
    what: "A thread or task reads a variable, attribute or item, computes a new value from it, and stores that value \
           back. Between the read and the store another one can store too, and nothing (no lock held over both steps, no \
           order between the two) prevents it.",
    why: "The later store overwrites the earlier one: an update is lost without an exception or a log line. Counters come \
          out too low, balances do not add up, and only under load. `n += 1` is three steps, not one; the GIL protects each \
          step, not the sequence.",
    example: "hits = 0

def handle(request):
    global hits
    hits += cost(request)      # reads hits, calls cost(), stores hits",
    fix: "Hold one lock from the read to the store, the same one at every place that stores. Where it fits, avoid sharing: \
          return partial results and add them up in one place, use `itertools.count()` for ids, or send updates through a \
          `queue.Queue`. Taking the lock twice, once for the read and once for the store, does not help.",
    fixed: "hits = 0
hits_lock = threading.Lock()

def handle(request):
    global hits
    price = cost(request)
    with hits_lock:
        hits += price",
    false_alarm: "The value may be approximate (statistics, sampling counters), or the two places never run at the same time \
                  for a reason that racetrace cannot see, such as another machine's scheduler or a lock outside Python. \
                  Say so in the reason.",
};
