# Page readers count words in one collections.Counter with a bare += (latent on 3.10+).
import os
import sys
import threading
import time
from collections import Counter

WHAT = "words counted"
READERS, PAGES = 4, 1500
PAGE = "to be or not to be".split()
words = Counter()


def read_pages():
    for _ in range(PAGES):
        for w in PAGE:
            words[w] += 1  # race: read-modify-write words[...]


def one_round():
    words.clear()
    readers = [threading.Thread(target=read_pages) for _ in range(READERS)]
    for r in readers:
        r.start()
    for r in readers:
        r.join()
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
