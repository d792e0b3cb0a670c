# Clerks fill a mapping of a library's class, each fetching what it does not find.
import collections
import os
import sys
import threading
import time

WHAT = "books fetched"
CLERKS = 3
TITLES = ["title %d" % n for n in range(40)]


class Shelf(collections.UserDict):
    """A mapping whose items the library stores."""


def work(shelf, fetched):
    for title in TITLES:
        if title not in shelf:
            time.sleep(0.0002)
            fetched.append(title)
            shelf[title] = len(title)  # race: check-then-act shelf[...]


def one_round():
    shelf, fetched = Shelf(), []
    clerks = [threading.Thread(target=work, args=(shelf, fetched)) for _ in range(CLERKS)]
    for c in clerks:
        c.start()
    for c in clerks:
        c.join()
    return len(TITLES), len(fetched)


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
