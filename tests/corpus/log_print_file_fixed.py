# Threads print(..., file=handle) to one shared handle while holding the roll's lock.
import os
import shutil
import sys
import tempfile
import threading
import time

WHAT = "well-formed lines"
CASHIERS, SALES = 4, 8


def cashier(till_roll, roll_lock, name):
    for n in range(SALES):
        time.sleep(0.0005)
        with roll_lock:
            print(name, "sold", n, name, file=till_roll)


def one_round():
    room = tempfile.mkdtemp()
    try:
        path = os.path.join(room, "till.txt")
        roll_lock = threading.Lock()
        with open(path, "w") as till_roll:
            cashiers = [
                threading.Thread(target=cashier, args=(till_roll, roll_lock, "c%d" % c)) for c in range(CASHIERS)
            ]
            for c in cashiers:
                c.start()
            for c in cashiers:
                c.join()
        good = {"c%d sold %d c%d\n" % (c, n, c) for c in range(CASHIERS) for n in range(SALES)}
        with open(path) as till_roll:
            return CASHIERS * SALES, sum(line in good for line in till_roll)
    finally:
        shutil.rmtree(room)


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
