# Janitors remove a lock file through pathlib if it exists; the second one finds it gone.
import os
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

WHAT = "janitors who stumbled"


def sweep(path, stumbled):
    try:
        if path.exists():  # race-read: file-check-then-use door.lock
            time.sleep(0.03)
            path.unlink()  # race: file-check-then-use door.lock
    except FileNotFoundError:
        stumbled.append(1)


def one_round():
    room = Path(tempfile.mkdtemp())
    try:
        path = room / "door.lock"
        path.write_text("1")
        stumbled = []
        janitors = [threading.Thread(target=sweep, args=(path, stumbled)) for _ in range(2)]
        for j in janitors:
            j.start()
        for j in janitors:
            j.join()
        return 0, len(stumbled)
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
        # a round that got lucky is tried again, twice at most
        if time.monotonic() >= stop_at and (want != got or rounds >= 3):
            break
    verdict = "consistent in this run" if want == got else "INCONSISTENT"
    print("%s: expected %d, actual %d over %d round(s) -> %s" % (WHAT, want, got, rounds, verdict))


if __name__ == "__main__":
    main()
