# One coarse lock is held over slow work by plain threads: needlessly slow, but nothing races.
import os
import sys
import threading
import time

WHAT = "forms stamped"
office = threading.Lock()
forms = {"stamped": 0}


def stamp():
    for _ in range(4):
        with office:
            done = forms["stamped"]
            time.sleep(0.004)
            forms["stamped"] = done + 1


def one_round():
    forms["stamped"] = 0
    clerks = [threading.Thread(target=stamp) for _ in range(4)]
    for c in clerks:
        c.start()
    for c in clerks:
        c.join()
    return 16, forms["stamped"]


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
