# Probes fetch over a slow line and append (place, value) under a lock; main sorts by place.
import os
import sys
import threading
import time

WHAT = "readings that stand where they were asked for"
PROBES = 6
readings = []
readings_lock = threading.Lock()


def fetch(probe):
    time.sleep(0.003 * (PROBES - probe))
    return probe


def sample(probe):
    value = fetch(probe)
    with readings_lock:
        readings.append((probe, value))


def one_round():
    with readings_lock:
        del readings[:]
    probes = [threading.Thread(target=sample, args=(p,)) for p in range(PROBES)]
    for p in probes:
        p.start()
    for p in probes:
        p.join()
    with readings_lock:
        in_place = [value for _, value in sorted(readings)]
    return PROBES, sum(place == value for place, value in enumerate(in_place))


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
