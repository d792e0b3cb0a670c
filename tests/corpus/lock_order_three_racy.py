# Three cooks each take two of three tools in a ring (knife-pan, pan-pot, pot-knife), one after another in time.
import os
import sys
import threading
import time

WHAT = "rings in the lock order"
knife, pan, pot = threading.Lock(), threading.Lock(), threading.Lock()
plates = []


def cut_and_fry():
    with knife:  # race-read: lock-order-inversion knife,pan,pot
        with pan:  # race: lock-order-inversion knife,pan,pot
            plates.append("schnitzel")


def fry_and_boil():
    time.sleep(0.05)
    with pan:  # race-read: lock-order-inversion knife,pan,pot
        with pot:  # race: lock-order-inversion knife,pan,pot
            plates.append("gnocchi")


def boil_and_cut():
    time.sleep(0.1)
    with pot:  # race-read: lock-order-inversion knife,pan,pot
        with knife:  # race: lock-order-inversion knife,pan,pot
            plates.append("stew")


def one_round():
    del plates[:]
    cooks = [threading.Thread(target=job) for job in (cut_and_fry, fry_and_boil, boil_and_cut)]
    for c in cooks:
        c.start()
    for c in cooks:
        c.join()
    return 0, int(len(plates) == 3)


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
