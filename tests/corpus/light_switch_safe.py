# The first reader takes the room for all readers, the last one gives it back; a count under a lock of its own decides.
import os
import sys
import threading
import time

WHAT = "pages written"


class Switch:
    def __init__(self):
        self.readers = 0
        self.counting = threading.Lock()

    def on(self, room):
        with self.counting:
            self.readers += 1
            if self.readers == 1:
                room.acquire()

    def off(self, room):
        with self.counting:
            self.readers -= 1
            if self.readers == 0:
                room.release()


class Book:
    def __init__(self):
        self.pages = 0
        self.room = threading.Lock()
        self.switch = Switch()

    def read(self):
        for _ in range(4):
            self.switch.on(self.room)
            try:
                self.pages > 0
            finally:
                self.switch.off(self.room)
            time.sleep(0.0002)

    def write(self):
        for _ in range(4):
            with self.room:
                pages = self.pages
                time.sleep(0.0002)
                self.pages = pages + 1


def one_round():
    book = Book()
    people = [threading.Thread(target=book.read) for _ in range(3)]
    people += [threading.Thread(target=book.write) for _ in range(2)]
    for p in people:
        p.start()
    for p in people:
        p.join()
    return 8, book.pages


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
