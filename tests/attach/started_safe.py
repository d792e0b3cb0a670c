import queue
import threading
import time

TURNS = 2000
lock = threading.Lock()
done = queue.Queue()
local = threading.local()
begun = False
totals = {name: 0 for name in range(64)}


class Count:
    def __init__(self):
        self.value = 0
        self.lock = threading.Lock()

    def plainly(self):
        for _ in range(TURNS):
            self.value += 1

    def below_a_lock(self):
        for _ in range(TURNS):
            with self.lock:
                self.value += 1

    def below_its_callers_lock(self):
        for _ in range(TURNS):
            with lock:
                self.add()

    def add(self):
        self.value += 1

    def below_a_helpers_lock(self):
        for _ in range(TURNS):
            take(self.lock)
            self.value += 1
            give(self.lock)

    def and_tells(self):
        for _ in range(TURNS):
            self.value += 1
        done.put(self.value)

    def only_the_first(self, me):
        for _ in range(TURNS):
            if me == 0:
                self.value += 1

    def once(self):
        global begun
        for _ in range(TURNS):
            with lock:
                first, begun = not begun, True
            if first:
                self.value += 1


class Patient(threading.Thread):
    def __init__(self, count):
        super().__init__()
        self.count = count

    def start(self):
        super().start()
        self.join()

    def run(self):
        for _ in range(TURNS):
            self.count.value += 1


def take(lock):
    lock.acquire()


def give(lock):
    lock.release()


def of_its_thread():
    local.value = 0
    for _ in range(TURNS):
        local.value += 1


def of_its_own():
    mine = Count()
    for _ in range(TURNS):
        mine.value += 1


def its_own_item(me):
    for _ in range(TURNS):
        totals[me] += 1


def its_own_items(me):
    for _ in range(TURNS // 16):
        for item in range(16 * me, 16 * me + 16):
            totals[item] += 1


def its_share_of_items(me):
    for _ in range(TURNS // 16):
        for item in range(16):
            if item % 4 == me:
                totals[item] += 1


def threads(target, *arguments):
    return [threading.Thread(target=target, args=one) for one in arguments or [()] * 4]


def at_once(team):
    for thread in team:
        thread.start()
    for thread in team:
        thread.join()


def one_after_the_other(team):
    for thread in team:
        thread.start()
        thread.join()


def when_the_last_has_told(team):
    for thread in team:
        thread.start()
        done.get()
    for thread in team:
        thread.join()


def when_the_last_is_gone(team):
    for thread in team:
        while threading.active_count() > 1:
            time.sleep(0.0001)
        thread.start()
    team[-1].join()


def in_two_variables(count):
    first, second = threads(count.plainly)[:2]
    first.start()
    first.join()
    second.start()
    second.join()


print("ready", flush=True)
while True:
    begun = False
    at_once(threads(Count().below_a_lock))
    at_once(threads(Count().below_its_callers_lock))
    at_once(threads(Count().below_a_helpers_lock))
    at_once(threads(Count().only_the_first, (0,), (1,), (2,)))
    at_once(threads(Count().once))
    at_once(threads(of_its_thread))
    at_once(threads(of_its_own))
    at_once([threading.Thread(target=Count().plainly) for _ in range(4)])
    at_once(threads(its_own_item, (0,), (1,), (2,), (3,)))
    at_once(threads(its_own_items, (0,), (1,), (2,), (3,)))
    at_once(threads(its_share_of_items, (0,), (1,), (2,), (3,)))
    at_once([Patient(count) for count in [Count()] * 3])
    one_after_the_other(threads(Count().plainly))
    when_the_last_has_told(threads(Count().and_tells))
    when_the_last_is_gone(threads(Count().plainly))
    in_two_variables(Count())
