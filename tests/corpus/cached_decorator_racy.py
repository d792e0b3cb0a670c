# A caching decorator over a locked store: each call is locked, the get - compute - set sequence is not.
import os
import sys
import threading
import time
from functools import wraps

WHAT = "routes planned"


class Store:
    def __init__(self):
        self._items = {}
        self._lock = threading.RLock()

    def get(self, key):
        with self._lock:
            return self._items.get(key)  # race-read: check-then-act Store._items[...]

    def put(self, key, value):
        with self._lock:
            self._items[key] = value  # race: check-then-act Store._items[...]


def remembered(store):
    def wrap(func):
        @wraps(func)
        def inner(*args):
            value = store.get(args)
            if value is None:
                value = func(*args)
                store.put(args, value)
            return value

        return inner

    return wrap


def one_round():
    planned = []

    @remembered(Store())
    def route(start, goal):
        planned.append((start, goal))
        time.sleep(0.03)
        return [start, "...", goal]

    cars = [threading.Thread(target=route, args=("home", "lake")) for _ in range(4)]
    for c in cars:
        c.start()
    for c in cars:
        c.join()
    return 1, len(planned)


def main():
    seconds = 0.0
    if "--seconds" in sys.argv:
        seconds = float(sys.argv[sys.argv.index("--seconds") + 1])
        print("ready", os.getpid(), flush=True)
    stop_at = time.monotonic() + seconds
    rounds = want = got = 0
    while True:
        expected, actual = one_round()
        rounds, want, got = rounds + 1, want + expected, got + actual
        # a round that got lucky is tried again, twice at most
        if time.monotonic() >= stop_at and (want != got or rounds >= 3):
            break
    verdict = "consistent in this run" if want == got else "INCONSISTENT"
    print("%s: expected %d, actual %d over %d round(s) -> %s" % (WHAT, want, got, rounds, verdict))


if __name__ == "__main__":
    main()
