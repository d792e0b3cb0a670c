# Deliveries add crates to one dictionary entry under a lock.
import os
import sys
import threading
import time

WHAT = "crates of apples in stock"
TRUCKS, CRATES = 4, 12000
stock = {"apples": 0}
stock_lock = threading.Lock()


def unload():
    for _ in range(CRATES):
        with stock_lock:
            stock["apples"] += 1


def one_round():
    stock["apples"] = 0
    trucks = [threading.Thread(target=unload) for _ in range(TRUCKS)]
    for t in trucks:
        t.start()
    for t in trucks:
        t.join()
    return TRUCKS * CRATES, stock["apples"]


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
