# Two threads write new files under names of their own before they rename them.
import json
import os
import shutil
import sys
import tempfile
import threading
import time

WHAT = "states saved"


def save(room, number):
    time.sleep(number * 0.03)
    path = os.path.join(room, "state.json")
    new = path + ".new%d" % number
    with open(new, "w") as file:
        json.dump({"by": number, "rest": list(range(20))}, file)
    os.replace(new, path)


def one_round():
    room = tempfile.mkdtemp()
    try:
        workers = [threading.Thread(target=save, args=(room, number)) for number in range(2)]
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
