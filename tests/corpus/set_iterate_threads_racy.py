# A roll call loops over a set while another thread adds late pupils: set changed size during iteration.
import os
import sys
import threading
import time

WHAT = "roll calls that broke off"


def roll_call(present, broken):
    try:
        for pupil in present:  # race-read: mutation-during-iteration present
            time.sleep(0.0005)
    except RuntimeError:
        broken.append(1)


def arrive_late(present):
    for n in range(5):
        time.sleep(0.002)
        present.add("late%d" % n)  # race: mutation-during-iteration present


def one_round():
    present = {"pupil%d" % n for n in range(60)}
    broken = []
    pair = [
        threading.Thread(target=roll_call, args=(present, broken)),
        threading.Thread(target=arrive_late, args=(present,)),
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
