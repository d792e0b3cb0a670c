# Two producers and three consumers share a bounded queue; main puts one sentinel per consumer after the producers.
import os
import queue
import sys
import threading
import time

WHAT = "tasks completed"


def author(name, tasks):
    for n in range(15):
        tasks.put("%s-%d" % (name, n))


def typist(tasks, results):
    for task in iter(tasks.get, None):
        results.put(task + "-done")
        tasks.task_done()
    tasks.task_done()


def one_round():
    tasks, results = queue.Queue(maxsize=4), queue.Queue()
    authors = [threading.Thread(target=author, args=(name, tasks)) for name in "ab"]
    typists = [threading.Thread(target=typist, args=(tasks, results)) for _ in range(3)]
    for t in authors + typists:
        t.start()
    for a in authors:
        a.join()
    for _ in typists:
        tasks.put(None)
    tasks.join()
    for y in typists:
        y.join()
    return 30, len({results.get() for _ in range(results.qsize())})


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
