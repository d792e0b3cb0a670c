# Janitors unlink a lock file and ignore that it is gone already.
import os
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

WHAT = "janitors who removed the file"


def sweep(path, removed):
    time.sleep(0.01)
    try:
        path.unlink()
    except FileNotFoundError:
        return
    removed.append(1)


def one_round():
    room = Path(tempfile.mkdtemp())
    try:
        path = room / "door.lock"
        path.write_text("1")
        removed = []
        janitors = [threading.Thread(target=sweep, args=(path, removed)) for _ in range(2)]
        for j in janitors:
            j.start()
        for j in janitors:
            j.join()
        return 1, len(removed)
    finally:
        shutil.rmtree(str(room))


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
