# Couriers just call popleft() and treat IndexError as "ramp is empty".
import os
import sys
import threading
import time
from collections import deque

WHAT = "parcels delivered"
PARCELS = 60


def courier(ramp, bag):
    while True:
        try:
            bag.append(ramp.popleft())
        except IndexError:
            return
        time.sleep(0.0005)


def one_round():
    ramp = deque(range(PARCELS))
    bags = [[] for _ in range(4)]
    couriers = [threading.Thread(target=courier, args=(ramp, bag)) for bag in bags]
    for c in couriers:
        c.start()
    for c in couriers:
        c.join()
    return PARCELS, len(set(sum(bags, [])))


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
