# A roll call loops over a frozen copy of the set, taken under the lock that late pupils use.
import os
import sys
import threading
import time

WHAT = "roll calls that broke off"


def roll_call(present, door, broken):
    try:
        with door:
            here = frozenset(present)
        for pupil in here:
            time.sleep(0.0005)
    except RuntimeError:
        broken.append(1)


def arrive_late(present, door):
    for n in range(5):
        time.sleep(0.002)
        with door:
            present.add("late%d" % n)


def one_round():
    present = {"pupil%d" % n for n in range(60)}
    door = threading.Lock()
    broken = []
    pair = [
        threading.Thread(target=roll_call, args=(present, door, broken)),
        threading.Thread(target=arrive_late, args=(present, door)),
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
