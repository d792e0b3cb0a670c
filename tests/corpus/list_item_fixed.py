# Toll booths rewrite one list slot as "slot = slot + 1" under a lock.
import os
import sys
import threading
import time

WHAT = "lorries in lane 0"
BOOTHS, LORRIES = 4, 12000
lanes = [0, 0, 0]
lanes_lock = threading.Lock()


def toll_booth():
    for _ in range(LORRIES):
        with lanes_lock:
            lanes[0] = lanes[0] + 1


def one_round():
    lanes[:] = [0, 0, 0]
    booths = [threading.Thread(target=toll_booth) for _ in range(BOOTHS)]
    for b in booths:
        b.start()
    for b in booths:
        b.join()
    return BOOTHS * LORRIES, lanes[0]


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
