# Several tills spend and top up one gift card whose methods hold the card's lock.
import os
import sys
import threading
import time

WHAT = "money left on the card"


class GiftCard:
    def __init__(self, balance):
        self.balance = balance
        self._lock = threading.Lock()

    def spend(self, price):
        with self._lock:
            if self.balance >= price:
                time.sleep(0.005)
                self.balance -= price
                return True
            return False

    def top_up(self, amount):
        with self._lock:
            self.balance += amount


def one_round():
    card = GiftCard(50)
    tills = [threading.Thread(target=card.spend, args=(20,)) for _ in range(4)]
    for t in tills:
        t.start()
    for t in tills:
        t.join()
    topper = threading.Thread(target=card.top_up, args=(5,))
    topper.start()
    topper.join()
    return 15, card.balance


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
