import os

flag = False
instance = None
table = {}
lock = None


def lazy():
    global instance
    if instance is None:  # @a
        instance = make()  # cta instance <- a breaks
    return instance


def lazy_by_or():
    global instance
    instance = instance or make()  # rmw instance <- . breaks


def lazy_by_or_latent(other):
    global instance
    instance = instance or other  # rmw instance <- . latent


def flagged():
    global flag
    if not flag:  # @a
        work()
        flag = True  # cta flag <- a breaks


def flagged_early():
    global flag
    if flag:  # @a
        return
    work()
    flag = True  # cta flag <- a breaks


def raised_early():
    global flag
    if flag:  # @a
        raise ValueError
    flag = True  # cta flag <- a latent


def continued(things):
    global flag
    for thing in things:
        if flag:  # @a
            continue
        work(thing)
        flag = True  # cta flag <- a breaks


def nested(c):
    global flag
    if not flag:  # @a
        if c:
            work()
            flag = True  # cta flag <- a breaks


def either(c):
    global flag
    if c or not flag:  # @a
        flag = True  # cta flag <- a open


def both(c):
    global flag
    if not flag and c:  # @a
        flag = True  # cta flag <- a latent


def kept_in_local():
    global flag
    done = flag  # @a
    work()
    if not done:
        flag = True  # cta flag <- a breaks


def released_between():
    global flag
    with lock:
        free = not flag  # @a
    if free:
        with lock:
            flag = True  # cta flag <- a breaks


def double_checked():
    global instance
    if instance is None:
        with lock:
            if instance is None:  # @a
                instance = make()  # cta instance <- a breaks
    return instance


def double_checked_badly():
    global instance
    seen = instance  # @a
    if seen is None:
        with lock:
            if seen is None:
                instance = make()  # cta instance <- a breaks


class Account:
    only = None

    def __new__(cls):
        if cls.only is None:  # @a
            cls.only = object.__new__(cls)  # cta cls.only <- a breaks
        return cls.only

    def spend(self, amount):
        if self.balance >= amount:  # @a
            work()
            self.balance -= amount  # cta self.balance <- a breaks; rmw self.balance <- . latent

    def guarded(self):
        if not hasattr(self, "notes"):  # @a
            self.notes = []  # cta self.notes <- a breaks

    def by_exception(self):
        try:
            return self.notes  # @a
        except AttributeError:
            self.notes = make()  # cta self.notes <- a breaks

    def found(self, name):
        found = False
        for user in self.users:  # @a
            if user.name == name:
                found = True
                break
        if not found:
            self.users.append(name)  # cta self.users <- a breaks

    def found_by_else(self, name):
        for user in self.users:  # @a
            if user.name == name:
                break
        else:
            self.users.append(name)  # cta self.users <- a breaks

    def found_by_any(self, name):
        if not any(user.name == name for user in self.users):  # @a
            self.users.append(name)  # cta self.users <- a breaks

    def spinning(self):
        while self.turns < 9:  # @a; @b
            self.turns += 1  # cta self.turns <- a,b; rmw self.turns <- . latent

    async def once(self):
        if self.value is None:  # @a
            self.value = await self.fetch()  # cta self.value <- a breaks awaits
        return self.value


def nonlocal_flag():
    opened = False

    def host():
        nonlocal opened
        if not opened:  # @a
            work()
            opened = True  # cta opened <- a breaks

    return host


def deleted():
    global instance
    if instance is not None:  # @a
        work()
        del instance  # cta instance <- a breaks


def by_locals_in_match(state):
    if state.step == 1:  # @a
        work()
        state.step = 2  # cta state.step <- a breaks
    elif state.step == 2:  # @b
        state.step = 3  # cta state.step <- b latent


async def in_flight(self, key):
    if key in self.underway:  # @a
        return await self.underway[key]
    self.underway[key] = promise = make()  # cta self.underway[...] <- a breaks
    try:
        return await self.fetch(key)
    finally:
        self.underway.pop(key, None)


def busy(self):
    if not self.busy:  # @a
        self.busy = True  # cta self.busy <- a latent
        work()
        self.busy = False


def attached(self, name):
    if not hasattr(self, name):  # @a
        work()
        setattr(self, name, [])  # cta self.? <- a breaks


class Gate:
    def pass_alone(self):
        while self.busy:  # @a
            work()
        self.busy = True  # cta self.busy <- a latent
        work()
        self.busy = False

    def after_a_while(self):
        while True:
            if not self.busy:  # @a
                break
            work()
        work()
        self.busy = True  # cta self.busy <- a breaks

    async def alone(self):
        for _ in range(9):
            while self.busy:  # @a
                await work()
            await work()
            if self.busy:
                print("again")
            self.busy = True  # cta self.busy <- a breaks awaits
            await work()
            self.busy = False


class Pages:
    async def rows(self):
        while self.at < 9:  # @a
            await self.fetch()
            self.at = await self.fetch()  # cta self.at <- a breaks awaits

    async def pages(self):
        while self.at < 9:  # @a; @b
            page = await self.fetch()
            self.at += page  # cta self.at <- a,b breaks awaits; rmw self.at <- . latent
            for row in page:
                yield row


def compare_and_set(o):
    while True:
        old = o.state
        new = work(old)
        with o.lock:
            if o.state is old:  # @a
                o.state = new  # rmw o.state <- a latent
                return


def by_revision(o):
    revision = o.revision
    text = work(o.text)
    if revision != o.revision:  # @a
        return
    o.text = text
    o.revision = revision + 1  # cta o.revision <- a latent


def compares_too_early(o):
    old = o.state
    if o.state is old:  # @a
        new = work(o.state)  # @b
        o.state = new  # cta o.state <- a breaks; rmw o.state <- b breaks


def compares_something_else(o, key):
    old = o.n  # @a
    if o.key == key:
        o.n = old + 1  # rmw o.n <- a latent


class Waiting:
    def slot(self):
        while True:
            if self.slots > 0:  # @a
                self.slots -= 1  # cta self.slots <- a latent; rmw self.slots <- . latent
                return
            work()

    def slot_after(self):
        while self.slots <= 0:  # @a
            work()
        self.slots -= 1  # cta self.slots <- a latent; rmw self.slots <- . latent

    def item(self):
        while not self.items:  # @a
            work()
        return self.items.pop()  # cta self.items <- a latent

    def key(self, key):
        while key in self.running:  # @a
            work()
        work()
        self.running.add(key)  # cta self.running <- a breaks

    def arrived(self):
        while self.count < 3:  # @a
            self.count = work()  # cta self.count <- a breaks
        self.done = True


def swapped_under_locks(o):
    while True:
        with o.lock:
            old = o.value
        new = work(old)
        with o.lock:
            if o.value is not old:  # @a
                continue
            o.value = new  # rmw o.value <- a latent
            return


def swapped_item(key):
    old = table[key]
    new = work(old)
    if table[key] == old:  # @a
        table[key] = new  # cta table[...] <- a latent


def not_swapped(o):
    old = o.value  # @a
    new = work(old)
    if o.value == old:
        work(new)
    o.value = new  # rmw o.value <- a breaks


class Owned:
    def steal(self):
        me = threading.get_ident()
        if self.owner is None:  # @a
            self.owner = me  # cta self.owner <- a latent
