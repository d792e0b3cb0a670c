# Every thread opens the shared log itself in append mode and writes each whole line with one flushed write.
import os
import shutil
import sys
import tempfile
import threading
import time

WHAT = "whole lines"
BEES, TRIPS = 3, 12


def bee(path, name):
    with open(path, "a", buffering=1) as hive_log:
        for n in range(TRIPS):
            time.sleep(0.0004)
            hive_log.write("%s trip %d\n" % (name, n))


def one_round():
    folder = tempfile.mkdtemp()
    try:
        path = os.path.join(folder, "hive.log")
        swarm = [threading.Thread(target=bee, args=(path, "bee%d" % n)) for n in range(BEES)]
        for b in swarm:
            b.start()
        for b in swarm:
            b.join()
        wanted = {"bee%d trip %d\n" % (b, n) for b in range(BEES) for n in range(TRIPS)}
        with open(path) as hive_log:
            return len(wanted), len(wanted & set(hive_log))
    finally:
        shutil.rmtree(folder)


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
