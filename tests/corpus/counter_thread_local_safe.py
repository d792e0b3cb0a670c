# Each thread counts in its own threading.local and hands over one number at the end.
import os
import queue
import sys
import threading
import time

WHAT = "stitches knitted"
KNITTERS, STITCHES = 4, 8000
basket = threading.local()


def knit(totals):
    if not hasattr(basket, "stitches"):
        basket.stitches = 0
    for _ in range(STITCHES):
        basket.stitches += 1
    totals.put(basket.stitches)


def one_round():
    totals = queue.Queue()
    circle = [threading.Thread(target=knit, args=(totals,)) for _ in range(KNITTERS)]
    for c in circle:
        c.start()
    for c in circle:
        c.join()
    return KNITTERS * STITCHES, sum(totals.get() for _ in range(KNITTERS))


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
