# Polling booths inspect ballots freely and update the tally with .get(name, 0) + n under a lock.
import os
import sys
import threading
import time

WHAT = "votes in the tally"
BOOTHS, BALLOTS = 5, ("red", "blue", "red", "green", "blue", "red")
tally = {}
urn = threading.Lock()


def inspect(ballot):
    time.sleep(0.0006)
    return 1 if ballot else 0


def booth():
    for choice in BALLOTS:
        weight = inspect(choice)
        with urn:
            tally[choice] = tally.get(choice, 0) + weight


def one_round():
    tally.clear()
    booths = [threading.Thread(target=booth) for _ in range(BOOTHS)]
    for b in booths:
        b.start()
    for b in booths:
        b.join()
    return BOOTHS * len(BALLOTS), sum(tally.values())


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
