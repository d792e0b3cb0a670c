# A home-made readers-writer lock (state under a Condition, nothing held while writing) keeps two fields in step.
import os
import sys
import threading
import time
from contextlib import contextmanager

WHAT = "torn views of the timetable"


class ReadersWriter:
    def __init__(self):
        self._turn = threading.Condition()
        self._reading = 0
        self._writing = False

    @contextmanager
    def reading(self):
        with self._turn:
            while self._writing:
                self._turn.wait()
            self._reading += 1
        try:
            yield
        finally:
            with self._turn:
                self._reading -= 1
                if self._reading == 0:
                    self._turn.notify_all()

    @contextmanager
    def writing(self):
        with self._turn:
            while self._writing or self._reading:
                self._turn.wait()
            self._writing = True
        try:
            yield
        finally:
            with self._turn:
                self._writing = False
                self._turn.notify_all()


def traveller(timetable, turn, torn):
    for _ in range(12):
        with turn.reading():
            departs = timetable["departs"]
            time.sleep(0.0003)
            if timetable["arrives"] != departs + 2:
                torn.append(departs)


def planner(timetable, turn):
    for _ in range(8):
        with turn.writing():
            timetable["departs"] += 1
            time.sleep(0.0003)
            timetable["arrives"] += 1
        time.sleep(0.0005)


def one_round():
    timetable, turn, torn = {"departs": 8, "arrives": 10}, ReadersWriter(), []
    people = [threading.Thread(target=traveller, args=(timetable, turn, torn)) for _ in range(4)]
    people += [threading.Thread(target=planner, args=(timetable, turn)) for _ in range(2)]
    for p in people:
        p.start()
    for p in people:
        p.join()
    return 0, len(torn)


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
