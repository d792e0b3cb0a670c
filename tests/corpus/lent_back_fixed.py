# Trolleys wait in a deque behind a semaphore; whoever has taken one notes its trip, and puts it back after that.
import sys
import threading
import time
from collections import deque

WHAT = "trips"
PORTERS, TRIPS, TROLLEYS = 4, 10, 2


class Shed:
    def __init__(self):
        self._room = threading.BoundedSemaphore(TROLLEYS)
        self._waiting = deque({"trips": 0} for _ in range(TROLLEYS))
        self._all = list(self._waiting)

    def take(self):
        self._room.acquire()
        return self._waiting.pop()

    def put_back(self, trolley):
        self._waiting.append(trolley)
        self._room.release()

    def total(self):
        return sum(trolley["trips"] for trolley in self._all)


def porter(shed):
    for _ in range(TRIPS):
        trolley = shed.take()
        trips = trolley["trips"]
        time.sleep(0.0005)
        trolley["trips"] = trips + 1
        shed.put_back(trolley)


def one_round():
    shed = Shed()
    porters = [threading.Thread(target=porter, args=(shed,)) for _ in range(PORTERS)]
    for p in porters:
        p.start()
    for p in porters:
        p.join()
    return PORTERS * TRIPS, shed.total()


def main():
    seconds = 0.0
    if "--seconds" in sys.argv:
        seconds = float(sys.argv[sys.argv.index("--seconds") + 1])
    stop_at = time.monotonic() + seconds
    rounds = want = got = 0
    while True:
        expected, actual = one_round()
        rounds, want, got = rounds + 1, want + expected, got + actual
        if time.monotonic() >= stop_at and (want != got or rounds >= 3):
            break
    verdict = "consistent in this run" if want == got else "INCONSISTENT"
    print("%s: expected %d, actual %d over %d round(s) -> %s" % (WHAT, want, got, rounds, verdict))


if __name__ == "__main__":
    main()
