# Thread-pool tasks return their share and the main thread adds them up.
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

WHAT = "grams of ore"
CARTS = 40


def weigh_cart(n):
    time.sleep(0.0008)
    return n


def one_round():
    ore = 0
    with ThreadPoolExecutor(max_workers=5) as pool:
        for grams in pool.map(weigh_cart, range(CARTS)):
            ore = ore + grams
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
        if time.monotonic() >= stop_at:
            break
    verdict = "consistent in this run" if want == got else "INCONSISTENT"
    print("%s: expected %d, actual %d over %d round(s) -> %s" % (WHAT, want, got, rounds, verdict))


if __name__ == "__main__":
    main()
