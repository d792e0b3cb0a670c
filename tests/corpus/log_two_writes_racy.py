# Sensors share one log handle and write each record as two writes, so records run into each other.
import os
import shutil
import sys
import tempfile
import threading
import time

WHAT = "well-formed lines"
SENSORS, RECORDS = 4, 10


def measure(name):
    time.sleep(0.0005)
    return "%s=ok" % name


def sensor(log, name):
    for _ in range(RECORDS):
        log.write(name + " ")  # race: interleaved-write sensors.log
        log.write(measure(name) + "\n")  # race: interleaved-write sensors.log


def one_round():
    room = tempfile.mkdtemp()
    try:
        path = os.path.join(room, "sensors.log")
        with open(path, "w") as log:
            sensors = [threading.Thread(target=sensor, args=(log, "s%d" % n)) for n in range(SENSORS)]
            for s in sensors:
                s.start()
            for s in sensors:
                s.join()
        good = {"s%d s%d=ok\n" % (n, n) for n in range(SENSORS)}
        with open(path) as log:
            return SENSORS * RECORDS, sum(line in good for line in log)
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
        # a round that got lucky is tried again, twice at most
        if time.monotonic() >= stop_at and (want != got or rounds >= 3):
            break
    verdict = "consistent in this run" if want == got else "INCONSISTENT"
    print("%s: expected %d, actual %d over %d round(s) -> %s" % (WHAT, want, got, rounds, verdict))


if __name__ == "__main__":
    main()
