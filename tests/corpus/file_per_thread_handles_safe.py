# Every thread writes to a file of its own, two writes per record, and main joins the parts.
import os
import shutil
import sys
import tempfile
import threading
import time

WHAT = "well-formed lines"
SCRIBES, LINES = 4, 10


def scribe(folder, name):
    with open(os.path.join(folder, name + ".part"), "w") as page:
        for n in range(LINES):
            page.write(name)
            time.sleep(0.0003)
            page.write(" line %d\n" % n)


def one_round():
    folder = tempfile.mkdtemp()
    try:
        names = ["scribe%d" % n for n in range(SCRIBES)]
        team = [threading.Thread(target=scribe, args=(folder, name)) for name in names]
        for t in team:
            t.start()
        for t in team:
            t.join()
        good = 0
        for name in names:
            with open(os.path.join(folder, name + ".part")) as page:
                good += sum(line.startswith(name + " line ") for line in page)
        return SCRIBES * LINES, good
    finally:
        shutil.rmtree(folder)


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
