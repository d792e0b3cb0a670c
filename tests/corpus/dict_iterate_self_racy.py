# A single thread deletes stale drafts from the very dictionary it is looping over.
import os
import sys
import time

WHAT = "stale drafts left"


def is_stale(age):
    return age > 30


def tidy(drafts):
    for title in drafts:  # race-read: mutation-during-iteration drafts
        if is_stale(drafts[title]):
            del drafts[title]  # race: mutation-during-iteration drafts


def one_round():
    drafts = {"intro": 3, "map": 45, "index": 60, "cover": 1, "blurb": 90}
    try:
        tidy(drafts)
    except RuntimeError:
        pass
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
        # a round that got lucky is tried again, twice at most
        if time.monotonic() >= stop_at and (want != got or rounds >= 3):
            break
    verdict = "consistent in this run" if want == got else "INCONSISTENT"
    print("%s: expected %d, actual %d over %d round(s) -> %s" % (WHAT, want, got, rounds, verdict))


if __name__ == "__main__":
    main()
