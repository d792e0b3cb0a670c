# A ledger lends its rows under a lock; clerks read a sum and store it while they have them.
import contextlib
import os
import sys
import threading
import time

WHAT = "takings"
CLERKS = 3
SALES = 25


class Ledger:
    def __init__(self):
        self._lock = threading.Lock()
        self._rows = {}

    @contextlib.contextmanager
    def open(self):
        with self._lock:
            yield self._rows

    def add(self, shop, amount):
        with self.open() as rows:
            before = rows.get(shop, 0)
            time.sleep(0.0002)
            rows[shop] = before + amount

    def total(self):
        with self.open() as rows:
            return sum(rows.values())


def sell(ledger):
    for _ in range(SALES):
        ledger.add("harbour", 1)


def one_round():
    ledger = Ledger()
    clerks = [threading.Thread(target=sell, args=(ledger,)) for _ in range(CLERKS)]
    for c in clerks:
        c.start()
    for c in clerks:
        c.join()
    return CLERKS * SALES, ledger.total()


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
