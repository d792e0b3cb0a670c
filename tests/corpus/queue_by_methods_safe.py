# A queue of one's own asks its size by a method, again after every wait, and takes from itself by another; all under its lock.
import collections
import os
import sys
import threading
import time

WHAT = "orders served"
COOKS, ORDERS, ROOM = 3, 60, 2


class Hatch:
    def __init__(self):
        self._lock = threading.Lock()
        self._not_empty, self._not_full = threading.Condition(self._lock), threading.Condition(self._lock)
        self._orders = collections.deque()

    def _size(self):
        return len(self._orders)

    def _add(self, order):
        self._orders.append(order)

    def _take(self):
        return self._orders.popleft()

    def put(self, order):
        with self._not_full:
            while self._size() >= ROOM:
                self._not_full.wait()
            self._add(order)
            self._not_empty.notify()

    def get(self):
        with self._not_empty:
            while not self._size():
                self._not_empty.wait()
            order = self._take()
            self._not_full.notify()
            return order


def cook(hatch, served):
    while hatch.get() is not None:
        served.append(1)


def one_round():
    hatch, served = Hatch(), []
    cooks = [threading.Thread(target=cook, args=(hatch, served)) for _ in range(COOKS)]
    for each in cooks:
        each.start()
    for order in range(ORDERS):
        hatch.put(order)
    for _ in cooks:
        hatch.put(None)
    for each in cooks:
        each.join()
    return ORDERS, len(served)


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
