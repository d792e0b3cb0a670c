# A file that is made exclusively and removed again keeps others out while a state file is read and written.
import contextlib
import json
import os
import shutil
import sys
import tempfile
import threading
import time

WHAT = "entries made"


@contextlib.contextmanager
def only_one(path):
    while True:
        try:
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
            break
        except FileExistsError:
            time.sleep(0.0005)
    try:
        yield
    finally:
        os.close(handle)
        os.unlink(path)


def work(room, number):
    state = os.path.join(room, "state.json")
    for n in range(5):
        with only_one(os.path.join(room, "state.lock")):
            entries = {}
            if os.path.exists(state):
                with open(state) as file:
                    entries = json.load(file)
            entries[str(number)] = n
            with open(state, "w") as file:
                json.dump(entries, file)


def one_round():
    room = tempfile.mkdtemp()
    try:
        workers = [threading.Thread(target=work, args=(room, number)) for number in range(3)]
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
