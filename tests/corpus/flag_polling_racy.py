# Main polls a plain flag and then reads a plain name that another thread wrote: works on CPython, promised nowhere.
import os
import sys
import threading
import time

WHAT = "reports received"
report = None
finished = False


def printer():
    global report, finished
    time.sleep(0.01)
    report = ["page 1", "page 2"]  # race: unordered-access report
    finished = True  # race: unordered-access finished


def one_round():
    global report, finished
    report, finished = None, False
    worker = threading.Thread(target=printer)
    worker.start()
    while not finished:  # race-read: unordered-access finished
        time.sleep(0.001)
    pages = len(report)  # race-read: unordered-access report
    worker.join()
    return 1, int(pages == 2)


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
