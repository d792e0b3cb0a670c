import heapq
import queue
from collections import deque

table = {}
seen = set()
items = []
jobs = queue.Queue()
line = deque()


def absent(key):
    if key not in table:  # @a
        table[key] = 1  # cta table[...] <- a latent


def absent_early(key):
    if key in table:  # @a
        return table[key]
    value = make(key)
    table[key] = value  # cta table[...] <- a breaks
    return value


def present(key):
    if key in table:  # @a
        del table[key]  # cta table[...] <- a latent


def present_pop(key):
    if key in table:  # @a
        work()
        table.pop(key)  # cta table[...] <- a breaks


def get_then_store(key):
    value = table.get(key)  # @a
    if value is None:
        value = table[key] = make(key)  # cta table[...] <- a breaks
    return value


def failing(key):
    try:
        return table[key]  # @a
    except KeyError:
        table[key] = make(key)  # cta table[...] <- a breaks


def failing_later(key):
    try:
        value = table[key]  # @a
    except KeyError:
        value = None
    if value is None:
        table[key] = make(key)  # cta table[...] <- a breaks


def double_checked(key):
    if key not in table:
        with lock:
            if key not in table:  # @a
                table[key] = make(key)  # cta table[...] <- a breaks
    return table[key]


def double_checked_by_get(key):
    value = table.get(key)
    if value is None:
        with lock:
            value = table.get(key)  # @a
            if value is None:
                value = make(key)
                table[key] = value  # cta table[...] <- a breaks
    return value


def evict(key, value):
    if len(table) > 9:  # @a
        table.popitem()  # cta table <- a quiet
    table[key] = value


def room(key):
    if len(table) < 9:  # @a
        table[key] = 1  # cta table <- a quiet


def cleared(key):
    if key in table:  # @a
        work()
        table.clear()  # cta table <- a breaks


def first(x):
    if x not in seen:  # @a
        seen.add(x)  # cta seen <- a latent


def first_call(x):
    if x not in seen:  # @a
        work(x)
        seen.add(x)  # cta seen <- a breaks


def enrol(name):
    if name not in items:  # @a
        work()
        items.append(name)  # cta items <- a breaks


def leave(name):
    if name in items:  # @a
        items.remove(name)  # cta items <- a latent


def take_while(plates):
    while plates:  # @a
        work()
        plates.pop()  # cta plates <- a breaks


def take_if():
    if items:  # @a
        return items.pop()  # cta items <- a latent


def take_if_counted():
    if len(line) > 0:  # @a
        work()
        return line.popleft()  # cta line <- a breaks


def bounded(x):
    if len(items) < 10:  # @a
        items.append(x)  # cta items <- a quiet


def from_queue():
    while not jobs.empty():  # @a
        work(jobs.get_nowait())  # cta jobs <- a breaks


def into_queue(x):
    if not jobs.full():  # @a
        jobs.put_nowait(x)  # cta jobs <- a breaks


def counted_queue():
    if jobs.qsize() > 0:  # @a
        return jobs.get(timeout=1)  # cta jobs <- a breaks


def heap(x):
    if items:  # @a
        return heapq.heappop(items)  # cta items <- a latent


def due(now):
    if items[0] <= now:  # @a
        work()
        return heapq.heappop(items)  # cta items <- a breaks


def due_first(now):
    while line[0] < now:  # @a
        work()
        line.popleft()  # cta line <- a breaks


def repeated(x):
    if items[-1] != x:  # @a
        work()
        items.append(x)  # cta items <- a breaks


def count_down(pot):
    if pot["coins"] >= 10:  # @a
        work()
        pot["coins"] -= 10  # cta pot[...] <- a breaks; rmw pot[...] <- . latent


class Cache:
    def fetch(self, key):
        if key not in self._shelf:  # @a
            book = make(key)
            self._shelf[key] = book  # cta self._shelf[...] <- a breaks
        return self._shelf[key]

    def alias(self, key):
        shelf = self._shelf
        if key not in shelf:  # @a
            shelf[key] = make(key)  # cta self._shelf[...] <- a breaks

    def by_keys(self, key):
        if key not in self._shelf.keys():  # @a
            self._shelf[key] = make(key)  # cta self._shelf[...] <- a breaks

    async def stampede(self, key):
        if key not in self._shelf:  # @a
            self._shelf[key] = await self.ask(key)  # cta self._shelf[...] <- a breaks awaits
        return self._shelf[key]


def evict_oldest():
    oldest = next(iter(table))  # @a
    work()
    del table[oldest]  # cta table <- a breaks


def evict_least():
    table.pop(min(table, key=table.get))  # cta table <- . breaks


def replace(old, new):
    items[items.index(old)] = new  # cta items <- . breaks


def update_absent(key):
    if key not in table:  # @a
        table.update({key: make(key)})  # cta table <- a breaks


def search_next(name):
    found = next((item for item in items if item.name == name), None)  # @a
    if found is None:
        items.append(make(name))  # cta items <- a breaks


def gathers_or_borrows(o, lines):
    parts = []
    for line in lines:
        if line:
            parts = o.parts
        if not parts:  # @a
            parts.append(line)  # cta parts <- a latent


def gathers_and_shows(o, lines):
    parts = []
    for line in lines:
        if not line:
            parts = []
            o.parts = parts
        if not parts:  # @a
            parts.append(line)  # cta parts <- a latent
