# Dictionaries travel to a thread pool and back through submit() and result(); each side changes them in turn.
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed

WHAT = "sum of cubes"


def square(part):
    part["square"] = part["n"] * part["n"]
    part["steps"] += 1
    return part


def cube(part):
    part["cube"] = part["square"] * part["n"]
    part["steps"] += 1
    return part


def one_round():
    with ThreadPoolExecutor(max_workers=3) as pool:
        jobs = [pool.submit(square, {"n": n, "steps": 0}) for n in range(10)]
        parts = []
        for job in as_completed(jobs):
            part = job.result()
            part["steps"] += 1
            parts.append(part)
        done = list(pool.map(cube, parts))
    assert all(part["steps"] == 3 for part in done)
    return sum(n ** 3 for n in range(10)), sum(part["cube"] for part in done)


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
