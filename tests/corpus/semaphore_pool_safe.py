# A Semaphore(3) admits three divers at a time to the tanks; nothing else is shared without a lock.
import os
import sys
import threading
import time

WHAT = "divers who saw more than three in the water"
tanks = threading.Semaphore(3)
water_lock = threading.Lock()
in_water = 0


def diver(seen, slot):
    global in_water
    most = 0
    for _ in range(3):
        with tanks:
            with water_lock:
                in_water += 1
                most = max(most, in_water)
            time.sleep(0.001)
            with water_lock:
                in_water -= 1
    seen[slot] = most


def one_round():
    seen = [0] * 10
    divers = [threading.Thread(target=diver, args=(seen, s)) for s in range(10)]
    for d in divers:
        d.start()
    for d in divers:
        d.join()
    return 0, sum(most > 3 for most in seen)


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
