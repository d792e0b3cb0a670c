# A reader checks that a note exists and then opens it; a cleaner deletes it in between.
import os
import shutil
import sys
import tempfile
import threading
import time

WHAT = "readers who ran into a missing file"


def read_note(path, shocked):
    try:
        if os.path.exists(path):  # race-read: file-check-then-use note.txt
            time.sleep(0.06)
            with open(path) as note:  # race: file-check-then-use note.txt
                note.read()
    except FileNotFoundError:
        shocked.append(path)


def clean_up(path):
    time.sleep(0.025)
    os.remove(path)


def one_round():
    room = tempfile.mkdtemp()
    try:
        path = os.path.join(room, "note.txt")
        with open(path, "w") as note:
            note.write("water the plants\n")
        shocked = []
        pair = [
            threading.Thread(target=read_note, args=(path, shocked)),
            threading.Thread(target=clean_up, args=(path,)),
        ]
        for t in pair:
            t.start()
        for t in pair:
            t.join()
        return 0, len(shocked)
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
