# Engines recompute a fuel level from itself with a slow call in the middle, so burns get lost for real.
import os
import sys
import threading
import time

WHAT = "litres left in the tank"
FULL, ENGINES, BURNS = 10000, 6, 15
tank = FULL


def burn(level):
    time.sleep(0.0005)
    return 1 if level > 0 else 0


def engine():
    global tank
    for _ in range(BURNS):
        tank = tank - burn(tank)  # race: read-modify-write tank


def one_round():
    global tank
    tank = FULL
    crew = [threading.Thread(target=engine) for _ in range(ENGINES)]
    for e in crew:
        e.start()
    for e in crew:
        e.join()
    return FULL - ENGINES * BURNS, tank


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
