# A caching decorator whose store offers one locked get-or-make step.
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

    def get_or_make(self, key, make):
        with self._lock:
            if key not in self._items:
                self._items[key] = make()
            return self._items[key]


def remembered(store):
    def wrap(func):
        @wraps(func)
        def inner(*args):
            return store.get_or_make(args, lambda: func(*args))

        return inner

    return wrap


def one_round():
    planned = []

    @remembered(Store())
    def route(start, goal):
        planned.append((start, goal))
        time.sleep(0.01)
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
        if time.monotonic() >= stop_at:
            break
    verdict = "consistent in this run" if want == got else "INCONSISTENT"
    print("%s: expected %d, actual %d over %d round(s) -> %s" % (WHAT, want, got, rounds, verdict))


if __name__ == "__main__":
    main()
