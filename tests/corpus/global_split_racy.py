# A parking count is copied to a local, work happens, and the stale copy plus one is stored back lines later.
import os
import sys
import threading
import time

WHAT = "cars counted in"
BARRIERS, CARS = 5, 12
parked = 0


def photograph():
    time.sleep(0.0005)


def barrier_arm():
    global parked
    for _ in range(CARS):
        before = parked  # race-read: read-modify-write parked
        photograph()
        parked = before + 1  # race: read-modify-write parked


def one_round():
    global parked
    parked = 0
    arms = [threading.Thread(target=barrier_arm) for _ in range(BARRIERS)]
    for a in arms:
        a.start()
    for a in arms:
        a.join()
    return BARRIERS * CARS, parked


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
