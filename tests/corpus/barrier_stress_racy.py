# Barrier-released stress workers take coins from a dict balance if enough are left, then count the takes.
import os
import sys
import threading
import time

WHAT = "coins left in the pot"
THIEVES, TRIES, START = 16, 10, 500


def thief(start_line, pot):
    start_line.wait()
    for _ in range(TRIES):
        if pot["coins"] >= 10:  # race-read: check-then-act pot[...]
            time.sleep(0.0003)
            pot["coins"] -= 10  # race: check-then-act pot[...]  # race-also: read-modify-write pot[...]
            pot["takes"] += 1  # race: read-modify-write pot[...]


def one_round():
    pot = {"coins": START, "takes": 0}
    start_line = threading.Barrier(THIEVES)
    gang = [threading.Thread(target=thief, args=(start_line, pot)) for _ in range(THIEVES)]
    for g in gang:
        g.start()
    for g in gang:
        g.join()
    return 0, pot["coins"]


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
