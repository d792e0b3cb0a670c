# A Semaphore(1) and a BoundedSemaphore(1) each guard a count as a lock would.
import os
import sys
import threading
import time

WHAT = "tickets punched and torn"
punch = threading.Semaphore(1)
tear = threading.BoundedSemaphore(1)
punched = 0
torn = 0


def conductor():
    global punched, torn
    for _ in range(15):
        with punch:
            now = punched
            time.sleep(0.0001)
            punched = now + 1
        tear.acquire()
        try:
            now = torn
            time.sleep(0.0001)
            torn = now + 1
        finally:
            tear.release()


def one_round():
    global punched, torn
    punched = torn = 0
    team = [threading.Thread(target=conductor) for _ in range(4)]
    for t in team:
        t.start()
    for t in team:
        t.join()
    return 2 * 60, punched + torn


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
