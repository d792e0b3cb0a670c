# Thread-pool tasks add their share to a module-level total around a slow call.
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

WHAT = "grams of ore"
CARTS = 40
ore = 0


def weigh_cart(n):
    time.sleep(0.0008)
    return n


def tip(n):
    global ore
    ore = ore + weigh_cart(n)  # race: read-modify-write ore


def one_round():
    global ore
    ore = 0
    with ThreadPoolExecutor(max_workers=5) as pool:
        for n in range(CARTS):
            pool.submit(tip, n)
    return sum(range(CARTS)), ore


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
