# Barrier-released stress workers check, take and count under one lock.
import os
import sys
import threading
import time

WHAT = "coins left in the pot"
THIEVES, TRIES, START = 16, 10, 500


def thief(start_line, pot, lid):
    start_line.wait()
    for _ in range(TRIES):
        time.sleep(0.0003)
        with lid:
            if pot["coins"] >= 10:
                pot["coins"] -= 10
                pot["takes"] += 1


def one_round():
    pot = {"coins": START, "takes": 0}
    lid = threading.Lock()
    start_line = threading.Barrier(THIEVES)
    gang = [threading.Thread(target=thief, args=(start_line, pot, lid)) for _ in range(THIEVES)]
    for g in gang:
        g.start()
    for g in gang:
        g.join()
    return START - 10 * pot["takes"], pot["coins"]


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
