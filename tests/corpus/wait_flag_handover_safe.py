# One fills a tray and one empties it; each polls the flag that the other turns, and nobody else does.
import os
import sys
import threading
import time

WHAT = "cups carried"
CUPS = 8


class Tray:
    def __init__(self):
        self.full = False
        self.cup = None


def fill(tray):
    for cup in range(CUPS):
        while tray.full:
            time.sleep(0.0002)
        tray.cup = cup
        time.sleep(0)
        tray.full = True


def empty(tray, carried):
    for _ in range(CUPS):
        while not tray.full:
            time.sleep(0.0002)
        carried.append(tray.cup)
        time.sleep(0)
        tray.full = False


def one_round():
    tray, carried = Tray(), []
    pair = [threading.Thread(target=fill, args=(tray,)), threading.Thread(target=empty, args=(tray, carried))]
    for t in pair:
        t.start()
    for t in pair:
        t.join()
    return sum(range(CUPS)), sum(carried)


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
