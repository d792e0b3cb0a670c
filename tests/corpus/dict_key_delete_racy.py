# Cleaners delete a coat-check ticket if it is there; the second delete finds nothing and raises KeyError.
import os
import sys
import threading
import time

WHAT = "cleaners who crashed"
coats = {}


def clean(ticket, crashed):
    try:
        if ticket in coats:  # race-read: check-then-act coats[...]
            time.sleep(0.03)
            del coats[ticket]  # race: check-then-act coats[...]
    except KeyError:
        crashed.append(ticket)


def one_round():
    coats.update({11: "green", 12: "grey"})
    crashed = []
    cleaners = [threading.Thread(target=clean, args=(11, crashed)) for _ in range(3)]
    for c in cleaners:
        c.start()
    for c in cleaners:
        c.join()
    return 0, len(crashed)


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
