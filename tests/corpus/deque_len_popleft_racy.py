# Couriers ask len() of a deque before popleft(); the last parcel goes to somebody else in between.
import os
import sys
import threading
import time
from collections import deque

WHAT = "couriers who found the ramp empty"


def courier(ramp, surprised):
    try:
        for _ in range(6):
            if len(ramp) > 0:  # race-read: check-then-act ramp
                time.sleep(0.001)
                ramp.popleft()  # race: check-then-act ramp
    except IndexError:
        surprised.append(1)


def one_round():
    ramp = deque(range(9))
    surprised = []
    couriers = [threading.Thread(target=courier, args=(ramp, surprised)) for _ in range(4)]
    for c in couriers:
        c.start()
    for c in couriers:
        c.join()
    return 0, len(surprised)


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
