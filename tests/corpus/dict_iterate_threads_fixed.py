# A depot copies its fleet under the lock that registration takes, and inspects the copy.
import os
import sys
import threading
import time

WHAT = "inspections that broke off"
VANS = 60


def inspect(fleet, yard, broken):
    try:
        with yard:
            plates = list(fleet)
        for plate in plates:
            time.sleep(0.0005)
    except RuntimeError:
        broken.append("broke off")


def register(fleet, yard):
    for n in range(VANS, VANS + 10):
        time.sleep(0.001)
        with yard:
            fleet["van%d" % n] = "new"


def one_round():
    fleet = {"van%d" % n: "old" for n in range(VANS)}
    yard = threading.Lock()
    broken = []
    pair = [
        threading.Thread(target=inspect, args=(fleet, yard, broken)),
        threading.Thread(target=register, args=(fleet, yard)),
    ]
    for t in pair:
        t.start()
    for t in pair:
        t.join()
    return 0, len(broken)


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
