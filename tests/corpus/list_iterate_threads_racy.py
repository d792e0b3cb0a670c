# An usher walks down a guest list while another thread strikes names off its front, so guests are skipped.
import os
import sys
import threading
import time

WHAT = "guests greeted who stayed on the list"
STAY, LEAVE = 20, 10


def greet(guests, greeted):
    for guest in guests:  # race-read: mutation-during-iteration guests
        greeted.add(guest)
        time.sleep(0.001)


def strike_off(guests):
    for n in range(LEAVE):
        time.sleep(0.0015)
        guests.remove("leaver%d" % n)  # race: mutation-during-iteration guests


def one_round():
    guests = ["leaver%d" % n for n in range(LEAVE)] + ["stayer%d" % n for n in range(STAY)]
    greeted = set()
    pair = [
        threading.Thread(target=greet, args=(guests, greeted)),
        threading.Thread(target=strike_off, args=(guests,)),
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
        # a round that got lucky is tried again, twice at most
        if time.monotonic() >= stop_at and (want != got or rounds >= 3):
            break
    verdict = "consistent in this run" if want == got else "INCONSISTENT"
    print("%s: expected %d, actual %d over %d round(s) -> %s" % (WHAT, want, got, rounds, verdict))


if __name__ == "__main__":
    main()
