# A price list is summed over .items() while another thread withdraws articles.
import os
import sys
import threading
import time

WHAT = "sums that broke off"


class PriceList:
    def __init__(self):
        self.prices = {"item%d" % n: n for n in range(40)}

    def add_up(self, broken):
        total = 0
        try:
            for name, price in self.prices.items():  # race-read: mutation-during-iteration PriceList.prices
                total += price
                time.sleep(0.0004)
        except RuntimeError:
            broken.append(total)

    def withdraw(self, names):
        for name in names:
            time.sleep(0.001)
            del self.prices[name]  # race: mutation-during-iteration PriceList.prices


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
        # a round that got lucky is tried again, twice at most
        if time.monotonic() >= stop_at and (want != got or rounds >= 3):
            break
    verdict = "consistent in this run" if want == got else "INCONSISTENT"
    print("%s: expected %d, actual %d over %d round(s) -> %s" % (WHAT, want, got, rounds, verdict))


if __name__ == "__main__":
    main()
