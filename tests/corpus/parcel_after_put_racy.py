# A clerk hands a parcel over by a queue and goes on stamping it; the porter stamps it too.
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


def clerk(counter, parcels):
    for _ in range(PARCELS):
        parcel = Parcel()
        parcels.append(parcel)
        counter.put(parcel)
        stamps = parcel.stamps  # race-read: read-modify-write Parcel.stamps
        time.sleep(0.0002)
        parcel.stamps = stamps + 1  # race: read-modify-write Parcel.stamps
    counter.put(None)


def porter(counter):
    while True:
        parcel = counter.get()
        if parcel is None:
            break
        stamps = parcel.stamps  # race-read: read-modify-write Parcel.stamps
        time.sleep(0.0002)
        parcel.stamps = stamps + 1  # race: read-modify-write Parcel.stamps


def one_round():
    counter, parcels = queue.Queue(), []
    staff = [threading.Thread(target=clerk, args=(counter, parcels)), threading.Thread(target=porter, args=(counter,))]
    for s in staff:
        s.start()
    for s in staff:
        s.join()
    return 2 * PARCELS, sum(parcel.stamps for parcel in parcels)


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
