# A counter is guarded by explicit acquire()/release() with try/finally instead of a with block.
import os
import sys
import threading
import time

WHAT = "keys cut"
key_lock = threading.Lock()
keys = 0


def cutter(times):
    global keys
    for _ in range(times):
        key_lock.acquire()
        try:
            blank = keys
            time.sleep(0.0001)
            keys = blank + 1
        finally:
            key_lock.release()


def one_round():
    global keys
    keys = 0
    shop = [threading.Thread(target=cutter, args=(20,)) for _ in range(5)]
    for s in shop:
        s.start()
    for s in shop:
        s.join()
    return 100, keys


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
