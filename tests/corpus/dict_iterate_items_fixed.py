# A price list is summed and thinned out under one lock.
import os
import sys
import threading
import time

WHAT = "sums that broke off"


class PriceList:
    def __init__(self):
        self.prices = {"item%d" % n: n for n in range(40)}
        self._lock = threading.Lock()

    def add_up(self, broken):
        total = 0
        try:
            with self._lock:
                for name, price in self.prices.items():
                    total += price
                    time.sleep(0.0002)
        except RuntimeError:
            broken.append(total)

    def withdraw(self, names):
        for name in names:
            time.sleep(0.001)
            with self._lock:
                del self.prices[name]


def one_round():
    shop = PriceList()
    broken = []
    pair = [
        threading.Thread(target=shop.add_up, args=(broken,)),
        threading.Thread(target=shop.withdraw, args=(["item%d" % n for n in range(5)],)),
    ]
    for t in pair:
        t.start()
    for t in pair:
        t.join()
    return 0, len(broken)


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
