# Constructing parcels in several threads bumps a counter kept on the class (latent on 3.10+).
import os
import sys
import threading
import time

WHAT = "parcels labelled"
DESKS, EACH = 4, 6000


class Parcel:
    labelled = 0

    def __init__(self, grams):
        self.grams = grams
        Parcel.labelled += 1  # race: read-modify-write Parcel.labelled


def desk():
    for grams in range(EACH):
        Parcel(grams)


def one_round():
    Parcel.labelled = 0
    desks = [threading.Thread(target=desk) for _ in range(DESKS)]
    for d in desks:
        d.start()
    for d in desks:
        d.join()
    return DESKS * EACH, Parcel.labelled


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
