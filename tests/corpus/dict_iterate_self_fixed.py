# A single thread deletes stale drafts while looping over a copy of the keys.
import os
import sys
import time

WHAT = "stale drafts left"


def is_stale(age):
    return age > 30


def tidy(drafts):
    for title in list(drafts.keys()):
        if is_stale(drafts[title]):
            del drafts[title]


def one_round():
    drafts = {"intro": 3, "map": 45, "index": 60, "cover": 1, "blurb": 90}
    tidy(drafts)
    time.sleep(0.001)
    return 0, sum(is_stale(age) for age in drafts.values())


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
