# Threads share one log handle, one write call per record: lines stay whole under the GIL, their order is open.
import os
import shutil
import sys
import tempfile
import threading
import time

WHAT = "lines that are where a one-after-the-other run would put them"
WRITERS, LINES = 3, 10


def writer(journal, name):
    for n in range(LINES):
        time.sleep(0.0005)
        journal.write("%s %d\n" % (name, n))  # race: unordered-access journal.log


def one_round():
    room = tempfile.mkdtemp()
    try:
        path = os.path.join(room, "journal.log")
        with open(path, "a") as journal:
            writers = [threading.Thread(target=writer, args=(journal, "w%d" % w)) for w in range(WRITERS)]
            for w in writers:
                w.start()
            for w in writers:
                w.join()
        in_turn = ["w%d %d\n" % (w, n) for w in range(WRITERS) for n in range(LINES)]
        with open(path) as journal:
            lines = journal.readlines()
        assert sorted(lines) == sorted(in_turn), "whole lines, whatever their order"
        return len(in_turn), sum(a == b for a, b in zip(lines, in_turn))
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
