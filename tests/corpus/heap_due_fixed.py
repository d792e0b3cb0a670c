# Runners look at the earliest alarm and take it if it is due, under one lock; another thread may only add.
import heapq
import os
import sys
import threading
import time

WHAT = "alarms taken too early"
DUE = 20


def run_due(alarms, early, lock):
    while True:
        with lock:
            if alarms[0] >= DUE:
                return
            time.sleep(0.0002)
            alarm = heapq.heappop(alarms)
        if alarm >= DUE:
            early.append(alarm)


def one_round():
    alarms, early = list(range(DUE)) + [10**6] * 4, []
    lock = threading.Lock()
    runners = [threading.Thread(target=run_due, args=(alarms, early, lock)) for _ in range(4)]
    for r in runners:
        r.start()
    for r in runners:
        r.join()
    return 0, len(early)


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
