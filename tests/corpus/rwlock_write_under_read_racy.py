# Visitors bump a page count while holding only the read side of a readers-writer lock.
import os
import sys
import threading
import time
from contextlib import contextmanager

WHAT = "page views"


class ReadersWriter:
    def __init__(self):
        self._turn = threading.Condition()
        self._reading = 0

    @contextmanager
    def reading(self):
        with self._turn:
            self._reading += 1
        try:
            yield
        finally:
            with self._turn:
                self._reading -= 1
                self._turn.notify_all()

    @contextmanager
    def writing(self):
        with self._turn:
            while self._reading:
                self._turn.wait()
            yield


def render():
    time.sleep(0.001)
    return 1


def visitor(site, turn):
    for _ in range(6):
        with turn.reading():
            site["views"] = site["views"] + render()  # race: read-modify-write site[...]


def one_round():
    site, turn = {"views": 0}, ReadersWriter()
    with turn.writing():
        site["views"] = 0
    visitors = [threading.Thread(target=visitor, args=(site, turn)) for _ in range(4)]
    for v in visitors:
        v.start()
    for v in visitors:
        v.join()
    return 24, site["views"]


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
