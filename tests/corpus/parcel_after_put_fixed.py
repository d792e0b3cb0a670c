# A clerk stamps a parcel before it goes into the queue, and again when it has come back by another one.
import os
import queue
import sys
import threading
import time

WHAT = "stamps on parcels"
PARCELS = 20


class Parcel:
    def __init__(self):
        self.stamps = 0

    def stamp(self):
        stamps = self.stamps
        time.sleep(0.0002)
        self.stamps = stamps + 1


def clerk(counter, returned, parcels):
    for _ in range(PARCELS):
        parcel = Parcel()
        parcel.stamp()
        parcels.append(parcel)
        counter.put(parcel)
    counter.put(None)
    for _ in range(PARCELS):
        returned.get().stamp()


def porter(counter, returned):
    while True:
        parcel = counter.get()
        if parcel is None:
            break
        parcel.stamp()
        returned.put(parcel)


def one_round():
    counter, returned, parcels = queue.Queue(), queue.Queue(), []
    staff = [
        threading.Thread(target=clerk, args=(counter, returned, parcels)),
        threading.Thread(target=porter, args=(counter, returned)),
    ]
    for s in staff:
        s.start()
    for s in staff:
        s.join()
    return 3 * PARCELS, sum(parcel.stamps for parcel in parcels)


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
