# Both sides of a water level take the same lock.
import os
import sys
import threading
import time

WHAT = "water level"
level = 0
sluice = threading.Lock()
TURNS = 15


def gauge():
    time.sleep(0.0005)
    return 1


def refill():
    global level
    for _ in range(TURNS):
        with sluice:
            level = level + gauge()


def drain():
    global level
    for _ in range(TURNS):
        with sluice:
            level = level - gauge()


def one_round():
    global level
    level = 0
    pair = [threading.Thread(target=refill), threading.Thread(target=drain)]
    for t in pair:
        t.start()
    for t in pair:
        t.join()
    return 0, level


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
