# Threads share one log handle and take a lock for each write and flush; nobody relies on the order of lines.
import os
import shutil
import sys
import tempfile
import threading
import time

WHAT = "whole lines"
WRITERS, LINES = 3, 10


def writer(journal, journal_lock, name):
    for n in range(LINES):
        time.sleep(0.0005)
        with journal_lock:
            journal.write("%s %d\n" % (name, n))
            journal.flush()


def one_round():
    room = tempfile.mkdtemp()
    try:
        path = os.path.join(room, "journal.log")
        journal_lock = threading.Lock()
        with open(path, "a") as journal:
            writers = [
                threading.Thread(target=writer, args=(journal, journal_lock, "w%d" % w)) for w in range(WRITERS)
            ]
            for w in writers:
                w.start()
            for w in writers:
                w.join()
        wanted = {"w%d %d\n" % (w, n) for w in range(WRITERS) for n in range(LINES)}
        with open(path) as journal:
            return len(wanted), len(wanted & set(journal))
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
