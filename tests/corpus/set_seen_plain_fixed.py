# The tightest form of check-then-add on a set, inside a lock.
import os
import sys
import threading
import time

WHAT = "distinct badge numbers"
BADGES = 400
stamped = set()
stamp_lock = threading.Lock()


def stamp():
    for badge in range(BADGES):
        with stamp_lock:
            if badge not in stamped:
                stamped.add(badge)


def one_round():
    stamped.clear()
    doormen = [threading.Thread(target=stamp) for _ in range(4)]
    for d in doormen:
        d.start()
    for d in doormen:
        d.join()
    return BADGES, len(stamped)


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
