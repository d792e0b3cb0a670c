# Two threads count on their own and share nothing at all.
import os
import sys
import threading
import time

WHAT = "steps counted"


def walk(path, steps):
    position = 0
    for step in range(steps):
        position += step % 2
        path.append(position)
        time.sleep(0.0005)


def one_round():
    paths = [[], []]
    walkers = [threading.Thread(target=walk, args=(path, 12)) for path in paths]
    for w in walkers:
        w.start()
    for w in walkers:
        w.join()
    return 24, sum(len(path) for path in paths)


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
