# A rota takes each name once, but membership test and append are two steps, so names repeat.
import os
import sys
import threading
import time

WHAT = "names on the rota"
rota = []


def enrol(name):
    if name not in rota:  # race-read: check-then-act rota
        time.sleep(0.03)
        rota.append(name)  # race: check-then-act rota


def one_round():
    del rota[:]
    clerks = [threading.Thread(target=enrol, args=("otto",)) for _ in range(3)]
    for c in clerks:
        c.start()
    for c in clerks:
        c.join()
    return 1, len(rota)


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
