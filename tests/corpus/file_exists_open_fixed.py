# A reader just opens the note and copes with its absence.
import os
import shutil
import sys
import tempfile
import threading
import time

WHAT = "readers who got an answer"


def read_note(path, answers):
    time.sleep(0.01)
    try:
        with open(path) as note:
            answers.append(note.read())
    except FileNotFoundError:
        answers.append(None)


def clean_up(path):
    time.sleep(0.01)
    os.remove(path)


def one_round():
    room = tempfile.mkdtemp()
    try:
        path = os.path.join(room, "note.txt")
        with open(path, "w") as note:
            note.write("water the plants\n")
        answers = []
        pair = [
            threading.Thread(target=read_note, args=(path, answers)),
            threading.Thread(target=clean_up, args=(path,)),
        ]
        for t in pair:
            t.start()
        for t in pair:
            t.join()
        return 1, len(answers)
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
