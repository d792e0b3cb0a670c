# A singleton double-checks in __new__, but its __init__ guard is unlocked and wipes what others stored.
import os
import sys
import threading
import time

WHAT = "notes kept in the one notebook"


class Notebook:
    _only = None
    _spine = threading.Lock()

    def __new__(cls):
        if cls._only is None:
            with cls._spine:
                if cls._only is None:
                    cls._only = super().__new__(cls)
        return cls._only

    def __init__(self):
        if not hasattr(self, "notes"):  # race-read: check-then-act Notebook.notes
            time.sleep(0.03)
            self.notes = []  # race: check-then-act Notebook.notes


def jot(text):
    book = Notebook()
    book.notes.append(text)


def one_round():
    with Notebook._spine:
        Notebook._only = None
    writers = [threading.Thread(target=jot, args=("note %d" % i,)) for i in range(5)]
    for w in writers:
        w.start()
    for w in writers:
        w.join()
    return 5, len(Notebook().notes)


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
