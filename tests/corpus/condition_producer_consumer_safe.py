# A bounded shelf (plain list) between bakers and buyers, waited for with one Condition.
import os
import sys
import threading
import time

WHAT = "rolls bought"
ROOM, ROLLS = 3, 30


class Shelf:
    def __init__(self):
        self._rolls = []
        self._changed = threading.Condition()

    def lay(self, roll):
        with self._changed:
            while len(self._rolls) >= ROOM:
                self._changed.wait()
            self._rolls.append(roll)
            self._changed.notify_all()

    def take(self):
        with self._changed:
            self._changed.wait_for(lambda: self._rolls)
            roll = self._rolls.pop(0)
            self._changed.notify_all()
            return roll


def baker(shelf, first):
    for n in range(first, ROLLS, 2):
        shelf.lay(n)


def buyer(shelf, bag):
    for _ in range(ROLLS // 2):
        bag.append(shelf.take())


def one_round():
    shelf, bags = Shelf(), [[], []]
    people = [threading.Thread(target=buyer, args=(shelf, bag)) for bag in bags]
    people += [threading.Thread(target=baker, args=(shelf, first)) for first in (0, 1)]
    for p in people:
        p.start()
    for p in people:
        p.join()
    return ROLLS, len(set(bags[0] + bags[1]))


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
