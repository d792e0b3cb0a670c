# Page readers count words in private Counters, merged by the main thread after join.
import os
import sys
import threading
import time
from collections import Counter

WHAT = "words counted"
READERS, PAGES = 4, 1500
PAGE = "to be or not to be".split()


def read_pages(shelf, slot):
    mine = Counter()
    for _ in range(PAGES):
        for w in PAGE:
            mine[w] += 1
    shelf[slot] = mine


def one_round():
    shelf = [None] * READERS
    readers = [threading.Thread(target=read_pages, args=(shelf, i)) for i in range(READERS)]
    for r in readers:
        r.start()
    for r in readers:
        r.join()
    words = Counter()
    for part in shelf:
        words.update(part)
    return READERS * PAGES * len(PAGE), sum(words.values())


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
