# A parking count is copied, photographed and stored back inside one lock, and the slow photo is taken outside.
import os
import sys
import threading
import time

WHAT = "cars counted in"
BARRIERS, CARS = 5, 12
parked = 0
count_lock = threading.Lock()


def photograph():
    time.sleep(0.0005)


def barrier_arm():
    global parked
    for _ in range(CARS):
        photograph()
        with count_lock:
            before = parked
            parked = before + 1


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
        if time.monotonic() >= stop_at:
            break
    verdict = "consistent in this run" if want == got else "INCONSISTENT"
    print("%s: expected %d, actual %d over %d round(s) -> %s" % (WHAT, want, got, rounds, verdict))


if __name__ == "__main__":
    main()
