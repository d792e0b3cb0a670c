n = 0
flag = False
table = {}
items = []


def blind():
    global n
    n = 5


def blind_after_read():
    global n
    print(n)
    n = 5


def other_variable(o, p):
    o.n = p.n + 1


def reassigned_base(o):
    value = o.n
    o = make()
    o.n = value + 1


def other_key(a, b):
    table[a] = table[b] + 1


def other_key_checked(a, b):
    if a in table:
        table[b] = 1


def atomic(key):
    table.setdefault(key, [])
    items.append(key)
    table[key] = 1


def swap():
    global items
    taken, items = items, []
    return taken


def local_only(things):
    seen = set()
    out = []
    count = {}
    for thing in things:
        if thing not in seen:
            seen.add(thing)
            count[thing] = count.get(thing, 0) + 1
            out.append(thing)
    while out:
        out.pop()
    return len(count)


def polling():
    while not flag:
        work()


def flag_ends_its_own_loop(messages):
    global flag
    while not flag:
        if work() is None:
            flag = True


def polling_attribute(self):
    while self.running:
        if self.next() is None:
            self.running = False


def reset_to_same():
    global flag
    if not flag:
        flag = False


def none_test(handlers, x):
    if handlers:
        handlers.append(x)


def both_ways(c):
    global n
    if n:
        work()
    n = c


def next_round(things):
    global n
    for thing in things:
        n = thing
        if n > 5:
            break


def put_back(jobs):
    jobs.put(jobs.get())


def drained(jobs):
    while True:
        job = jobs.get()
        if job is None:
            jobs.put(None)
            return


def stored(store, key):
    got = store.get(key)
    if got is None:
        store.put(key, make(key))


class Body:
    n = 0
    n += 1
    if n:
        n = 2

    def __init__(self):
        self.n = 0
        self.items = []
        for x in range(3):
            self.items.append(x)

    def ranged(self):
        for _ in range(self.n):
            self.n = 4


def asserted(o):
    with o.reading:
        assert o.n >= 0
    o.n = 7


def reset_at_last(o):
    try:
        work(o.n)
    finally:
        o.n = None


def clear_each(table):
    for key in list(table):
        table.pop(key, None)
        table[key] = 0


def last(items):
    del items[len(items) - 1]


def other_attribute(o, name, other):
    if not hasattr(o, name):
        setattr(o, other, 1)


def first_of_a_table(table, line):
    if table[0]:
        line.pop()


def keeps_what_it_waited_for(o):
    while not o.ready:
        work()
    o.ready = True


def waits_for_something_else(o):
    while o.busy:
        work()
    o.other = True


def shows_and_sets(o, things):
    for thing in things:
        if o.busy:
            work()
        o.busy = True


def takes_its_turn(o, me, other):
    while o.turn != me:
        work()
    o.turn = other


def gathers_in_a_loop(lines):
    for line in lines:
        parts = []
        while line.next():
            parts = [*parts, line.part] if len(parts) < 9 else []
        if parts:
            parts.append(work())
        show(len(parts))


def shows_what_a_loop_has_made(lines):
    for line in lines:
        parts = [part.strip() for part in line]
        if not parts:
            parts.append(work())
        show(len(parts))


class Owned:
    def release(self):
        me = threading.get_ident()
        if self.owner != me:
            raise RuntimeError
        self.owner = None

    def acquire(self):
        if self.owner is asyncio.current_task():
            return
        self.gate.acquire()
        self.owner = asyncio.current_task()

    def enter(self):
        if self.owner == threading.current_thread().ident:
            self.owner = 0
