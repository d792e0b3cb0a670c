# An usher walks down a copy of the guest list, taken under the lock used for striking names off.
import os
import sys
import threading
import time

WHAT = "guests greeted who stayed on the list"
STAY, LEAVE = 20, 10


def greet(guests, pen, greeted):
    with pen:
        now = guests[:]
    for guest in now:
        greeted.add(guest)
        time.sleep(0.001)


def strike_off(guests, pen):
    for n in range(LEAVE):
        time.sleep(0.0015)
        with pen:
            guests.remove("leaver%d" % n)


def one_round():
    guests = ["leaver%d" % n for n in range(LEAVE)] + ["stayer%d" % n for n in range(STAY)]
    pen = threading.Lock()
    greeted = set()
    pair = [
        threading.Thread(target=greet, args=(guests, pen, greeted)),
        threading.Thread(target=strike_off, args=(guests, pen)),
    ]
    for t in pair:
        t.start()
    for t in pair:
        t.join()
    return STAY, sum(name.startswith("stayer") for name in greeted)


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
