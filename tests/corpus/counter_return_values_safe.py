# Workers count in a local variable, leave it in their own slot, and main sums the slots after join.
import os
import sys
import threading
import time

WHAT = "bricks laid"
MASONS, BRICKS = 4, 10000


def lay(slots, number):
    laid = 0
    for _ in range(BRICKS):
        laid += 1
    slots[number] = laid


def one_round():
    slots = [0] * MASONS
    masons = [threading.Thread(target=lay, args=(slots, n)) for n in range(MASONS)]
    for m in masons:
        m.start()
    for m in masons:
        m.join()
    return MASONS * BRICKS, sum(slots)


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
