# A train list is read through trains[:] while another thread appends to it; no lock, and every copy is a prefix.
import os
import sys
import threading
import time

WHAT = "copies that were not a prefix"


def announce(trains, odd):
    for _ in range(20):
        now = trains[:]
        if now != list(range(len(now))):
            odd.append(now)
        time.sleep(0.0004)


def arrive(trains):
    for number in range(60):
        trains.append(number)
        time.sleep(0.0001)


def one_round():
    trains, odd = [], []
    pair = [
        threading.Thread(target=announce, args=(trains, odd)),
        threading.Thread(target=arrive, args=(trains,)),
    ]
    for t in pair:
        t.start()
    for t in pair:
        t.join()
    return 0, len(odd)


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
