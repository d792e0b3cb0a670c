# Processes count in a manager's dict and namespace: each access goes to the manager by itself, and is done there alone.
# requires: 3.12
import multiprocessing
import os
import sys
import time

WHAT = "visits counted"


def visit(pages, site, together, times):
    for time_of_day in range(times):
        together.wait()
        if time_of_day not in pages:  # race-read: check-then-act pages
            time.sleep(0.002)
            pages[time_of_day] = os.getpid()  # race: check-then-act pages
        seen = pages["home"]  # race-read: read-modify-write pages
        time.sleep(0.002)
        pages["home"] = seen + 1  # race: read-modify-write pages
        site.visits += 1  # race-also: read-modify-write site.visits


def one_round():
    with multiprocessing.Manager() as manager:
        pages, site, together = manager.dict(home=0), manager.Namespace(), multiprocessing.Barrier(2)
        site.visits = 0
        visitors = [multiprocessing.Process(target=visit, args=(pages, site, together, 8)) for _ in range(2)]
        for visitor in visitors:
            visitor.start()
        for visitor in visitors:
            visitor.join()
        return 32, pages["home"] + site.visits


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
