# A dict works out what is missing, under a lock, after it has looked again.
import os
import sys
import threading
import time

WHAT = "pages rendered"
READERS = 3
PAGES = 12


class Pages(dict):
    def __init__(self):
        super().__init__()
        self.rendered = []
        self.lock = threading.Lock()

    def __missing__(self, number):
        with self.lock:
            if number not in self:
                time.sleep(0.0003)
                self.rendered.append(number)
                self[number] = "page %d" % number
            return self.get(number)


def read(pages, open_doors):
    open_doors.wait()
    for number in range(PAGES):
        pages[number]


def one_round():
    pages, open_doors = Pages(), threading.Barrier(READERS)
    readers = [threading.Thread(target=read, args=(pages, open_doors)) for _ in range(READERS)]
    for r in readers:
        r.start()
    for r in readers:
        r.join()
    return PAGES, len(pages.rendered)


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
