# A book index returns early on a hit and downloads on a miss; thirty readers miss together.
import os
import sys
import threading
import time

WHAT = "downloads of one book"
READERS = 30


class BookIndex:
    def __init__(self):
        self._shelf = {}
        self.downloads = 0

    def lookup(self, isbn):
        if isbn in self._shelf:  # race-read: check-then-act BookIndex._shelf[...]
            return self._shelf[isbn]
        book = self._download(isbn)
        self._shelf[isbn] = book  # race: check-then-act BookIndex._shelf[...]
        return book

    def _download(self, isbn):
        self.downloads += 1  # race: read-modify-write BookIndex.downloads
        time.sleep(0.06)
        return {"isbn": isbn}


def one_round():
    index = BookIndex()
    readers = [threading.Thread(target=index.lookup, args=("978-1",)) for _ in range(READERS)]
    for r in readers:
        r.start()
    for r in readers:
        r.join()
    return 1, index.downloads


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
