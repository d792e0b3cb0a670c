# Toll booths rewrite one list slot as "slot = slot + 1" (latent on 3.10+).
import os
import sys
import threading
import time

WHAT = "lorries in lane 0"
BOOTHS, LORRIES = 4, 15000
lanes = [0, 0, 0]


def toll_booth():
    for _ in range(LORRIES):
        lanes[0] = lanes[0] + 1  # race: read-modify-write lanes[...]


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
