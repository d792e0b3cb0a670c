# Main writes before start(), the worker changes the same objects, main reads and changes them after join().
import os
import sys
import threading
import time

WHAT = "grams of dough"


class Dough:
    def __init__(self):
        self.grams = 0


def knead(dough, diary):
    dough.grams += 250
    diary["kneaded"] = diary.get("kneaded", 0) + 1


def rest(dough, diary):
    if diary["kneaded"] == 1:
        dough.grams += 5


def one_round():
    dough, diary = Dough(), {}
    dough.grams += 500
    first = threading.Thread(target=knead, args=(dough, diary))
    first.start()
    first.join()
    dough.grams += 10
    diary["kneaded"] = diary["kneaded"] + 0
    second = threading.Thread(target=rest, args=(dough, diary))
    second.start()
    second.join()
    dough.grams += 1
    return 766, dough.grams


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
