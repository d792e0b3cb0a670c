import threading
import time
from collections import deque


class Tally:
    def __init__(self):
        self.count = 0
        self.lock = threading.Lock()
        self.told = threading.Event()


def nap():
    time.sleep(0.01)


def locked_before_it_sleeps(tally):
    with tally.lock:
        tally.count += 1
    nap()


def acquired_before_it_sleeps(tally):
    tally.lock.acquire()
    tally.count += 1
    tally.lock.release()
    nap()


def locked_while_it_sleeps(tally):
    tally.lock.acquire()
    tally.count += 1
    nap()
    tally.lock.release()


def give_back(tally):
    tally.lock.release()


def given_back_by_another_function(tally):
    tally.lock.acquire()
    tally.count += 1
    give_back(tally)
    nap()


def tells(tally):
    tally.count += 1
    tally.told.set()
    nap()


def is_told(tally):
    tally.told.wait()
    tally.count += 1
    nap()


def its_own():
    mine = Tally()
    mine.count += 1
    nap()


def together(functions, *args):
    threads = [threading.Thread(target=function, args=args) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def one_after_the_other():
    tally = Tally()

    def next_one():
        tally.count += 1
        nap()

    for _ in range(3):
        thread = threading.Thread(target=next_one)
        thread.start()
        thread.join()


def handed_over():
    belt = deque()

    def first():
        tally = Tally()
        tally.count += 1
        belt.append(tally)
        nap()

    def second():
        while not belt:
            time.sleep(0.001)
        tally = belt.popleft()
        tally.count += 1
        nap()

    together([first, second])


def in_phases():
    tally, first, second = Tally(), threading.Barrier(2), threading.Barrier(2)

    def early():
        first.wait()
        tally.count += 1
        nap()
        second.wait()

    def late():
        second.wait()
        tally.count += 1
        nap()

    def opener():
        nap()
        first.wait()

    together([early, late, opener])


def only_one_of_them():
    tally, start = Tally(), threading.Barrier(3)

    def worker():
        nap()
        if start.wait() == 0:
            tally.count += 1

    together([worker] * 3)


def behind_a_barrier_below_a_lock():
    tally, start = Tally(), threading.Barrier(3)

    def worker():
        nap()
        start.wait()
        with tally.lock:
            tally.count += 1

    together([worker] * 3)


def forever(work):
    while True:
        work()


def of_two(function):
    return lambda: together([function, function], Tally())


works = [
    of_two(locked_before_it_sleeps),
    of_two(acquired_before_it_sleeps),
    of_two(locked_while_it_sleeps),
    of_two(given_back_by_another_function),
    lambda: together([tells, is_told], Tally()),
    lambda: together([its_own, its_own]),
    one_after_the_other,
    handed_over,
    in_phases,
    only_one_of_them,
    behind_a_barrier_below_a_lock,
]
for work in works:
    threading.Thread(target=forever, args=(work,), daemon=True).start()
print("ready", flush=True)
time.sleep(1000)
