# Only the main thread ever nests these two locks (both ways round); the helper thread takes one of them at a time.
import os
import sys
import threading
import time

WHAT = "letters that arrived in the archive"
inbox_lock = threading.Lock()
archive_lock = threading.Lock()


def move_forward(inbox, archive):
    with inbox_lock:
        with archive_lock:
            archive.extend(inbox)
            del inbox[:]


def move_back(inbox, archive):
    with archive_lock:
        with inbox_lock:
            inbox.extend(archive)
            del archive[:]


def helper(inbox, archive, sizes):
    for n in range(5):
        with inbox_lock:
            inbox.append(n)
        with archive_lock:
            sizes.append(len(archive))


def one_round():
    inbox, archive, sizes = [], [], []
    side = threading.Thread(target=helper, args=(inbox, archive, sizes))
    side.start()
    move_forward(inbox, archive)
    move_back(inbox, archive)
    side.join()
    move_forward(inbox, archive)
    return 5, len(archive)


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
