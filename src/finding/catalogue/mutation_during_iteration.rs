//! The page of `mutation-during-iteration`. Text only.

use super::Page;
use crate::finding::Kind;

pub(super) const PAGE: Page = Page {
    kind: Kind::MutationDuringIteration,
    title: "a container changes size while a loop walks it",
    severity: "error",
    what: "A loop, comprehension or function such as `sum` walks a dict, list, set or deque while another thread or task, or \
           the loop itself, adds or removes elements.",
    why: "A dict, set or deque raises `RuntimeError: dictionary changed size during iteration` in the thread that only wanted to read. A list raises \
          nothing: elements are skipped or seen twice.",
    example: "def broadcast(message):
    for user, socket in connections.items():
        socket.send(message)          # meanwhile another thread connects

def on_connect(user, socket):
    connections[user] = socket",
    fix: "Walk a copy (`list(d.items())` is one step under the GIL; on a free-threaded build take the lock while copying), \
          or hold one lock for the whole loop and at every change. A loop that deletes from what it walks should build a \
          new container or walk a copy.",
    fixed: "def broadcast(message):
    with connections_lock:
        current = list(connections.items())
    for user, socket in current:
        socket.send(message)

def on_connect(user, socket):
    with connections_lock:
        connections[user] = socket",
    false_alarm: "Rare: the loop has to end before the change takes effect, by a `break` or `return` right after it, or the container is one \
                  whose iterators are made for this.",
};
