# A depot prints its fleet while another thread registers vans: dictionary changed size during iteration.
import os
import sys
import threading
import time

WHAT = "inspections that broke off"
VANS = 60


def inspect(fleet, broken):
    try:
        for plate in fleet:  # race-read: mutation-during-iteration fleet
            time.sleep(0.0005)
    except RuntimeError:
        broken.append("broke off")


def register(fleet):
    for n in range(VANS, VANS + 10):
        time.sleep(0.001)
        fleet["van%d" % n] = "new"  # race: mutation-during-iteration fleet


def one_round():
    fleet = {"van%d" % n: "old" for n in range(VANS)}
    broken = []
    pair = [
        threading.Thread(target=inspect, args=(fleet, broken)),
        threading.Thread(target=register, args=(fleet,)),
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
        # a round that got lucky is tried again, twice at most
        if time.monotonic() >= stop_at and (want != got or rounds >= 3):
            break
    verdict = "consistent in this run" if want == got else "INCONSISTENT"
    print("%s: expected %d, actual %d over %d round(s) -> %s" % (WHAT, want, got, rounds, verdict))


if __name__ == "__main__":
    main()
