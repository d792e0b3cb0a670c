# Three cooks each take two of three tools, always in the order knife, pan, pot.
import os
import sys
import threading
import time

WHAT = "dishes"
knife, pan, pot = threading.Lock(), threading.Lock(), threading.Lock()
plates = []


def cut_and_fry():
    with knife, pan:
        plates.append("schnitzel")


def fry_and_boil():
    with pan, pot:
        plates.append("gnocchi")


def boil_and_cut():
    with knife, pot:
        plates.append("stew")


def one_round():
    del plates[:]
    cooks = [threading.Thread(target=job) for job in (cut_and_fry, fry_and_boil, boil_and_cut)]
    for c in cooks:
        c.start()
    for c in cooks:
        c.join()
    return 3, len(plates)


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
