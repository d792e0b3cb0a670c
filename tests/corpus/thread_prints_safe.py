# Two named threads print their progress to the terminal and share nothing else.
import os
import sys
import threading
import time

WHAT = "lines printed"
printed = threading.local()


def recite(name, total):
    printed.lines = 0
    for line in ("roses are red", "violets are blue", "locks are for you"):
        print("%s: %s" % (name, line))
        printed.lines += 1
        time.sleep(0.02)
    total[name] = printed.lines


def one_round():
    total = {}
    voices = [threading.Thread(target=recite, args=(name, total)) for name in ("alto", "bass")]
    for v in voices:
        v.start()
    for v in voices:
        v.join()
    return 6, sum(total.values())


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
