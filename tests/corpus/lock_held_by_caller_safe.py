# The caller takes the lock and a helper function without any lock in sight does the update.
import os
import sys
import threading
import time

WHAT = "entries in the visitor book"
GUESTS, LINES = 5, 20


class VisitorBook:
    def __init__(self):
        self._pen = threading.Lock()
        self.entries = 0
        self.last = None

    def sign(self, who):
        with self._pen:
            self._write(who)

    def _write(self, who):
        number = self.entries
        time.sleep(0.0001)
        self.entries = number + 1
        self.last = who


def guest(book, who):
    for _ in range(LINES):
        book.sign(who)


def one_round():
    book = VisitorBook()
    guests = [threading.Thread(target=guest, args=(book, "g%d" % i)) for i in range(GUESTS)]
    for g in guests:
        g.start()
    for g in guests:
        g.join()
    return GUESTS * LINES, book.entries


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
