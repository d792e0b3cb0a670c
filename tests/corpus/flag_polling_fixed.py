# Main waits for an Event instead of polling a plain flag.
import os
import sys
import threading
import time

WHAT = "reports received"
report = None


def printer(finished):
    global report
    time.sleep(0.01)
    report = ["page 1", "page 2"]
    finished.set()


def one_round():
    global report
    report = None
    finished = threading.Event()
    worker = threading.Thread(target=printer, args=(finished,))
    worker.start()
    finished.wait()
    pages = len(report)
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
        if time.monotonic() >= stop_at:
            break
    verdict = "consistent in this run" if want == got else "INCONSISTENT"
    print("%s: expected %d, actual %d over %d round(s) -> %s" % (WHAT, want, got, rounds, verdict))


if __name__ == "__main__":
    main()
