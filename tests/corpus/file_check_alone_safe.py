# Every thread checks and opens files only in a folder of its own, so nobody can come in between.
import os
import shutil
import sys
import tempfile
import threading
import time

WHAT = "diaries with three entries"


def keep_diary(folder):
    path = os.path.join(folder, "diary.txt")
    for entry in ("mon", "tue", "wed"):
        mode = "a" if os.path.exists(path) else "w"
        time.sleep(0.001)
        with open(path, mode) as diary:
            diary.write(entry + "\n")


def one_round():
    root = tempfile.mkdtemp()
    try:
        folders = [os.path.join(root, name) for name in ("ada", "bea", "cem")]
        for folder in folders:
            os.mkdir(folder)
        authors = [threading.Thread(target=keep_diary, args=(folder,)) for folder in folders]
        for a in authors:
            a.start()
        for a in authors:
            a.join()
        full = 0
        for folder in folders:
            with open(os.path.join(folder, "diary.txt")) as diary:
                full += len(diary.readlines()) == 3
        return len(folders), full
    finally:
        shutil.rmtree(root)


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
