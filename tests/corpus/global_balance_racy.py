# Two groups book from the same free seats: both see enough, both sit down, and the hall goes below zero.
import os
import sys
import threading
import time

WHAT = "free seats"
seats_left = 10


def book(party):
    global seats_left
    if seats_left >= party:  # race-read: check-then-act seats_left
        time.sleep(0.03)
        seats_left -= party  # race: check-then-act seats_left  # race-also: read-modify-write seats_left


def one_round():
    global seats_left
    seats_left = 10
    groups = [threading.Thread(target=book, args=(8,)) for _ in range(2)]
    for g in groups:
        g.start()
    for g in groups:
        g.join()
    return 2, seats_left


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
