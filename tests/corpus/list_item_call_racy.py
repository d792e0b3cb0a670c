# Fruit sorters rewrite list slots around a slow call, losing fruit for real.
import os
import sys
import threading
import time

WHAT = "fruit in the bins"
SORTERS, FRUIT = 5, 16
bins = [0, 0]


def squeeze():
    time.sleep(0.0005)
    return 1


def sorter():
    for n in range(FRUIT):
        bins[n % 2] = bins[n % 2] + squeeze()  # race: read-modify-write bins[...]


def one_round():
    bins[:] = [0, 0]
    team = [threading.Thread(target=sorter) for _ in range(SORTERS)]
    for t in team:
        t.start()
    for t in team:
        t.join()
    return SORTERS * FRUIT, sum(bins)


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
