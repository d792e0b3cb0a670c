# A directory is made whether or not it exists.
import os
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

WHAT = "directories asked for"


def store(folder, number):
    time.sleep(0.03)
    folder.mkdir(exist_ok=True)
    (folder / ("part %d" % number)).write_text("x")


def try_to_store(folder, number):
    try:
        store(folder, number)
    except FileExistsError:
        pass


def one_round():
    room = tempfile.mkdtemp()
    try:
        folder = Path(room) / "parts"
        workers = [threading.Thread(target=try_to_store, args=(folder, number)) for number in range(2)]
        for w in workers:
            w.start()
        for w in workers:
            w.join()
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
