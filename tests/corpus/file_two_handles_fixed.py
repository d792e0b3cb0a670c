# Two departments write to one handle that main opened once, each row under a lock.
import os
import shutil
import sys
import tempfile
import threading
import time

WHAT = "rows in the report"
ROWS = 12


def department(report, row_lock, name):
    for n in range(ROWS):
        time.sleep(0.001)
        with row_lock:
            report.write("%s;%02d\n" % (name, n))
            report.flush()


def one_round():
    room = tempfile.mkdtemp()
    try:
        path = os.path.join(room, "report.csv")
        row_lock = threading.Lock()
        with open(path, "w") as report:
            offices = [
                threading.Thread(target=department, args=(report, row_lock, name)) for name in ("north", "south")
            ]
            for o in offices:
                o.start()
            for o in offices:
                o.join()
        with open(path) as report:
            return 2 * ROWS, len(report.readlines())
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
