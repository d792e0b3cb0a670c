# Processes count in a manager's dict and namespace under a lock of the manager's, or each for itself; main after them.
# requires: 3.12
import multiprocessing
import os
import sys
import time

WHAT = "visits counted"


def visit(pages, site, lock, times, me, done):
    with lock:
        if "first" not in pages:
            time.sleep(0.002)
            pages["first"] = os.getpid()
    for _ in range(times):
        with lock:
            pages["home"] = pages["home"] + 1
            site.visits += 1
        pages[me] = pages.get(me, 0) + 1
    done.put(me)


def one_round():
    with multiprocessing.Manager() as manager:
        pages, site = manager.dict(home=0), manager.Namespace()
        site.visits = 0
        lock, done = manager.Lock(), manager.Queue()
        visitors = [multiprocessing.Process(target=visit, args=(pages, site, lock, 10, me, done)) for me in "ab"]
        for visitor in visitors:
            visitor.start()
        for _ in visitors:
            more = pages[done.get()] - 10
            with lock:
                pages["home"] += more
        for visitor in visitors:
            visitor.join()
        site.visits += more
        return 40, pages["home"] + site.visits


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
