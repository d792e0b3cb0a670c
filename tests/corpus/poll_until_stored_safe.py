# Loops that wait until another thread has stored something are all that keeps the updates of one total apart.
import collections
import itertools
import os
import sys
import threading
import time

WHAT = "updates of the total"


class Work:
    def __init__(self):
        self.total, self.turn, self.serving, self.counted = 0, 0, 0, 0
        self.finished = False
        self.state = {"ready": False}
        self.results, self.inbox = [], collections.deque()
        self.tickets = itertools.count()
        self.lock = threading.Lock()

    def add(self):
        seen = self.total
        time.sleep(0.0005)
        self.total = seen + 1

    def is_finished(self):
        return self.finished

    def wait_until_finished(self, limit=30):
        until = time.monotonic() + limit
        while not self.is_finished() and time.monotonic() < until:
            time.sleep(0.001)


class Part:
    def __init__(self, work):
        self.work, self.done = work, False

    def run(self):
        with self.work.lock:
            self.work.add()
        self.done = True


def flag(work):
    work.add()
    work.finished = True


def item(work):
    work.add()
    work.state["ready"] = True


def answer(work):
    work.add()
    work.state["answer"] = 5


def letter(work):
    work.add()
    work.inbox.append(3)


def result(work):
    with work.lock:
        work.add()
    work.results.append(1)


def count(work):
    with work.lock:
        work.add()
    with work.lock:
        work.counted += 1


def in_turns(work, me):
    for _ in range(2):
        while work.turn != me:
            time.sleep(0)
        work.add()
        work.turn = 1 - me


def with_ticket(work):
    mine = next(work.tickets)
    while True:
        if work.serving == mine:
            break
        time.sleep(0)
    work.add()
    work.serving += 1


def stop(work):
    while not work.finished:
        time.sleep(0.001)
    work.add()


def start(target, *arguments):
    thread = threading.Thread(target=target, args=arguments)
    thread.start()
    return thread


def one_round():
    total = 0

    work = Work()
    threads = [start(flag, work)]
    work.wait_until_finished()
    work.add()
    total += work.total

    work = Work()
    threads.append(start(item, work))
    while not work.state["ready"]:
        time.sleep(0.001)
    work.add()
    total += work.total

    work = Work()
    threads.append(start(answer, work))
    while True:
        try:
            total += work.state["answer"]
            break
        except KeyError:
            time.sleep(0.001)
    work.add()
    total += work.total

    work = Work()
    threads.append(start(letter, work))
    while True:
        try:
            total += work.inbox.popleft()
            break
        except IndexError:
            time.sleep(0.001)
    work.add()
    total += work.total

    work = Work()
    threads += [start(result, work) for _ in range(10)]
    while len(work.results) < 10:
        time.sleep(0.001)
    work.add()
    total += work.total

    work = Work()
    threads += [start(count, work) for _ in range(10)]
    while work.counted != 10:
        time.sleep(0.001)
    work.add()
    total += work.total

    work = Work()
    parts = [Part(work) for _ in range(3)]
    threads += [start(part.run) for part in parts]
    while not all(part.done for part in parts):
        time.sleep(0.001)
    work.add()
    total += work.total

    work = Work()
    pair = [start(in_turns, work, me) for me in range(2)]
    pair += [start(with_ticket, other := Work()), start(with_ticket, other), start(with_ticket, other)]
    for thread in pair:
        thread.join()
    total += work.total + other.total

    work = Work()
    thread = start(stop, work)
    work.add()
    work.finished = True
    for thread in [*threads, thread]:
        thread.join()
    return 2 + 2 + 7 + 5 + 11 + 11 + 4 + 4 + 3 + 2, total + work.total


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
