# Several tills spend one gift card: the balance is checked, the till thinks, then the balance is lowered.
import os
import sys
import threading
import time

WHAT = "money left on the card"


class GiftCard:
    def __init__(self, balance):
        self.balance = balance

    def spend(self, price):
        if self.balance >= price:  # race-read: check-then-act GiftCard.balance
            time.sleep(0.03)
            self.balance -= price  # race: check-then-act GiftCard.balance  # race-also: read-modify-write GiftCard.balance
            return True
        return False


def one_round():
    card = GiftCard(50)
    tills = [threading.Thread(target=card.spend, args=(20,)) for _ in range(4)]
    for t in tills:
        t.start()
    for t in tills:
        t.join()
    return 10, card.balance


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
