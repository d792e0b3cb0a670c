# Dishwashers pop a plate while the pile "is not empty"; the pile runs out between question and pop.
import os
import sys
import threading
import time

WHAT = "dishwashers who reached into nothing"


def wash(plates, reached):
    try:
        while plates:  # race-read: check-then-act plates
            time.sleep(0.002)
            plates.pop()  # race: check-then-act plates
    except IndexError:
        reached.append(1)


def one_round():
    plates = list(range(10))
    reached = []
    crew = [threading.Thread(target=wash, args=(plates, reached)) for _ in range(4)]
    for c in crew:
        c.start()
    for c in crew:
        c.join()
    return 0, len(reached)


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
