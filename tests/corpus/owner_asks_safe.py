# A lock that knows its owner: whoever asks whether it is himself needs no lock for that, as nobody else ever enters him.
import os
import sys
import threading
import time

WHAT = "pages counted"
PRINTERS, PAGES = 4, 40


class Owned:
    def __init__(self):
        self._changed = threading.Condition()
        self._owner = None
        self._depth = 0
        self._current_thread = threading.current_thread

    def acquire(self):
        me = self._current_thread()
        if self._owner == me:
            self._depth += 1
            return
        with self._changed:
            while self._owner is not None:
                self._changed.wait()
            self._owner = me
            self._depth = 1

    def release(self):
        if self._owner != self._current_thread():
            raise RuntimeError("not yours")
        self._depth -= 1
        if self._depth == 0:
            self._let_go()

    def _let_go(self):
        with self._changed:
            self._owner = None
            self._changed.notify()


def count(lock, pages):
    for _ in range(PAGES):
        lock.acquire()
        lock.acquire()
        before = pages["sum"]
        time.sleep(0)
        pages["sum"] = before + 1
        lock.release()
        lock.release()


def one_round():
    lock, pages = Owned(), {"sum": 0}
    printers = [threading.Thread(target=count, args=(lock, pages)) for _ in range(PRINTERS)]
    for printer in printers:
        printer.start()
    for printer in printers:
        printer.join()
    return PRINTERS * PAGES, pages["sum"]


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
