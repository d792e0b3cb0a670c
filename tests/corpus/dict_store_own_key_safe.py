# Every thread stores under a key of its own, one plain d[key] = value at a time.
import os
import sys
import threading
import time

WHAT = "rooms measured"
heights = {}


def measure(floor):
    for room in range(100):
        heights["%d.%02d" % (floor, room)] = 240 + room


def one_round():
    heights.clear()
    team = [threading.Thread(target=measure, args=(f,)) for f in range(4)]
    for t in team:
        t.start()
    for t in team:
        t.join()
    return 400, len(heights)


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
