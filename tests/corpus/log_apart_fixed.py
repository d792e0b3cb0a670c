# Visitors write a line each with one call.
import os
import shutil
import sys
import tempfile
import threading
import time

WHAT = "visits logged"


def visit(log, name, delay):
    time.sleep(delay)
    log.write(name + " was here\n")


def one_round():
    room = tempfile.mkdtemp()
    try:
        with open(os.path.join(room, "visits.log"), "w") as log:
            visitors = [threading.Thread(target=visit, args=(log, "v%d" % n, n / 50)) for n in range(2)]
            for v in visitors:
                v.start()
            for v in visitors:
                v.join()
    finally:
        shutil.rmtree(room)


def main():
    seconds = 0.0
    if "--seconds" in sys.argv:
        seconds = float(sys.argv[sys.argv.index("--seconds") + 1])
        print("ready", os.getpid(), flush=True)
    stop_at = time.monotonic() + seconds
    rounds = 0
    while True:
        one_round()
        rounds += 1
        if time.monotonic() >= stop_at:
            break
    print("%s: %d round(s)" % (WHAT, rounds))


if __name__ == "__main__":
    main()
