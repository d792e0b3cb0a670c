# Probes fetch a value over a slow line and append it to a shared list: nothing is lost, but the order is open.
import os
import sys
import threading
import time

WHAT = "readings that stand where they were asked for"
PROBES = 6
readings = []


def fetch(probe):
    time.sleep(0.003 * (PROBES - probe))
    return probe


def sample(probe):
    value = fetch(probe)
    readings.append(value)  # race: unordered-access readings


def one_round():
    del readings[:]
    probes = [threading.Thread(target=sample, args=(p,)) for p in range(PROBES)]
    for p in probes:
        p.start()
    for p in probes:
        p.join()
    assert sorted(readings) == list(range(PROBES))
    return PROBES, sum(place == value for place, value in enumerate(readings))


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
