# Moving money locks the sender and then the receiver, so opposite transfers lock the same pair both ways round.
import os
import sys
import threading
import time

WHAT = "lock orders in use for one pair of purses"
orders = set()


class Purse:
    def __init__(self, owner, coins):
        self.owner = owner
        self.coins = coins
        self._lock = threading.Lock()

    def give(self, other, coins):
        with self._lock:  # race-read: lock-order-inversion Purse._lock,Purse._lock
            with other._lock:  # race: lock-order-inversion Purse._lock,Purse._lock
                orders.add(self.owner + ">" + other.owner)
                if self.coins >= coins:
                    self.coins -= coins
                    other.coins += coins


def later(delay, giver, taker, coins):
    time.sleep(delay)
    giver.give(taker, coins)


def one_round():
    orders.clear()
    ivy, joe = Purse("ivy", 30), Purse("joe", 30)
    pair = [
        threading.Thread(target=later, args=(0, ivy, joe, 10)),
        threading.Thread(target=later, args=(0.08, joe, ivy, 5)),
    ]
    for t in pair:
        t.start()
    for t in pair:
        t.join()
    return 1, len(orders)


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
