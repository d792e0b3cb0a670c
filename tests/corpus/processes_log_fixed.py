# Processes append to one file, each line with one call that goes out at once.
import multiprocessing
import os
import shutil
import sys
import tempfile
import time

WHAT = "visits logged"


def visit(path, name, delay):
    time.sleep(delay)
    with open(path, "a", buffering=1) as log:
        log.write(name + " was here\n")


def one_round():
    room = tempfile.mkdtemp()
    try:
        path = os.path.join(room, "visits.log")
        context = multiprocessing.get_context("fork")
        visitors = [context.Process(target=visit, args=(path, "v%d" % n, n / 5)) for n in range(2)]
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
