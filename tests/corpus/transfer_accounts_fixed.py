# Moving money locks the purse with the smaller number first, whoever gives.
import os
import sys
import threading
import time

WHAT = "coins in both purses"


class Purse:
    def __init__(self, number, coins):
        self.number = number
        self.coins = coins
        self._lock = threading.Lock()

    def give(self, other, coins):
        first, second = sorted((self, other), key=lambda purse: purse.number)
        with first._lock:
            with second._lock:
                if self.coins >= coins:
                    self.coins -= coins
                    other.coins += coins


def often(giver, taker, coins):
    for _ in range(40):
        giver.give(taker, coins)


def one_round():
    ivy, joe = Purse(1, 30), Purse(2, 30)
    pair = [
        threading.Thread(target=often, args=(ivy, joe, 3)),
        threading.Thread(target=often, args=(joe, ivy, 2)),
    ]
    for t in pair:
        t.start()
    for t in pair:
        t.join()
    return 60, ivy.coins + joe.coins


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
