# Processes count in a shared value: each single access is locked by itself, the whole is not.
import multiprocessing
import os
import sys
import time

WHAT = "visitors counted"
DOORS = 3
VISITORS = 60


def count(visitors):
    for _ in range(VISITORS):
        visitors.value += 1  # race: read-modify-write visitors.value


def one_round():
    context = multiprocessing.get_context("fork")
    visitors = context.Value("i", 0)
    doors = [context.Process(target=count, args=(visitors,)) for _ in range(DOORS)]
    for d in doors:
        d.start()
    for d in doors:
        d.join()
    return DOORS * VISITORS, visitors.value


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
