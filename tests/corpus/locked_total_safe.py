# A running total is only ever touched inside one lock, by the writers and by a reader that watches it grow.
import os
import sys
import threading
import time

WHAT = "donations"
total = 0
lock = threading.Lock()


def donate(times, amount):
    global total
    for _ in range(times):
        with lock:
            total += amount


def watch(readings):
    for _ in range(20):
        with lock:
            readings.append(total)
        time.sleep(0.0005)


def one_round():
    global total
    with lock:
        total = 0
    readings = []
    crowd = [threading.Thread(target=donate, args=(2000, a)) for a in (1, 5, 10)]
    crowd.append(threading.Thread(target=watch, args=(readings,)))
    for c in crowd:
        c.start()
    for c in crowd:
        c.join()
    assert readings == sorted(readings)
    with lock:
        return 2000 * 16, total


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
