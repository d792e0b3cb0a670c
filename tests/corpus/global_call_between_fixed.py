# Engines recompute a fuel level from itself, the whole recomputation held under one lock.
import os
import sys
import threading
import time

WHAT = "litres left in the tank"
FULL, ENGINES, BURNS = 10000, 6, 15
tank = FULL
valve = threading.Lock()


def burn(level):
    time.sleep(0.0005)
    return 1 if level > 0 else 0


def engine():
    global tank
    for _ in range(BURNS):
        with valve:
            tank = tank - burn(tank)


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
        if time.monotonic() >= stop_at:
            break
    verdict = "consistent in this run" if want == got else "INCONSISTENT"
    print("%s: expected %d, actual %d over %d round(s) -> %s" % (WHAT, want, got, rounds, verdict))


if __name__ == "__main__":
    main()
