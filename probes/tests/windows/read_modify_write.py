import asyncio

n = 0
table = {}
items = []


def plain():
    global n
    n += 1  # rmw n <- . latent


def spelled_out():
    global n
    n = n + 1  # rmw n <- . latent


def through_a_local():
    global n
    before = n  # @a
    work()
    n = before + 1  # rmw n <- a breaks


def through_two_locals():
    global n
    before = n  # @a
    after = before + 1
    work()
    again = after
    n = again  # rmw n <- a breaks


def call_in_between():
    global n
    n = n + work()  # rmw n <- . breaks


def call_of_it():
    global n
    n = int(n) + 1  # rmw n <- . breaks


def augmented_by_call():
    global n
    n += work()  # rmw n <- . breaks


def walrus():
    global n
    print(seen := n)  # @a
    n = seen + 1  # rmw n <- a breaks


def conditional(c):
    global n
    n = n + 1 if c else 0  # rmw n <- . latent either


def one_side(c):
    global n
    if c:
        value = n  # @a
    else:
        value = 7
    n = value  # rmw n <- a latent either


def carried_around(rounds):
    global n
    value = n  # @a
    for _ in rounds:
        value = value + 1
    n = value  # rmw n <- a


def retry():
    global n
    while True:
        seen = n  # @a
        if work(seen):
            n = seen + 1  # rmw n <- a breaks
            break


def closure():
    count = 0

    def bump():
        nonlocal count
        count += 1  # rmw count <- . latent

    return bump


class Account:
    total = 0

    def attribute(self):
        self.n += 1  # rmw self.n <- . latent

    def unknown_operand(self, more):
        self.n += more  # rmw self.n <- . latent

    def deep(self):
        self.owner.stats.n += 1  # rmw self.owner.stats.n <- . latent

    def of_class(self):
        Account.total += 1  # rmw Account.total <- . latent

    def of_type(self):
        type(self).total += 1  # rmw type().total <- . latent

    def through_attribute_functions(self):
        setattr(self, "n", getattr(self, "n") + 1)  # rmw self.n <- . breaks

    def through_a_computed_name(self, field, more):
        setattr(self, field, getattr(self, field) + more)  # rmw self.? <- . breaks

    def kept_in_between(self):
        self.number = Account.total  # @k
        Account.total = self.number + 1  # rmw Account.total <- k latent

    def rebuilt(self):
        self.items = [item for item in self.items if item]  # rmw self.items <- .

    def rebuilt_by_loop(self):
        keep = []
        for item in self.items:  # @a
            if item:
                keep.append(item)
        self.items = keep  # rmw self.items <- a breaks

    def copied(self, key, value):
        table = dict(self.table)  # @a
        table[key] = value
        self.table = table  # rmw self.table <- a breaks

    def alias(self):
        other = self
        other.n = self.n + 1  # rmw self.n <- . latent

    async def awaited(self, x):
        self.n += await x.price()  # rmw self.n <- . breaks awaits

    async def awaited_between(self):
        before = self.n  # @a
        await asyncio.sleep(0)
        self.n = before + 1  # rmw self.n <- a breaks awaits

    def popped_head(self):
        node = self.head  # @a
        self.head = node.next  # rmw self.head <- a latent
        return node


def item(key):
    table[key] += 1  # rmw table[...] <- . latent


def item_of_constant():
    table["n"] = table["n"] + 1  # rmw table[...] <- . latent


def item_by_get(key):
    table[key] = table.get(key, 0) + 1  # rmw table[...] <- . breaks


def item_by_get_split(key):
    count = table.get(key, 0)  # @a
    table[key] = count + 1  # rmw table[...] <- a breaks


def item_by_expression(k):
    items[k % 2] = items[k % 2] + 1  # rmw items[...] <- . latent


def item_by_function(k):
    table[str(k)] = table[str(k)] + 1  # rmw table[...] <- . breaks


def item_popped(key):
    table[key] = table.pop(key, 0) + 1  # rmw table[...] <- . breaks


def nested_item(a, b):
    table[a][b] += 1  # rmw table[...][...] <- . latent


def of_parameter(pot):
    pot["coins"] -= 10  # rmw pot[...] <- . latent


def by_globals():
    globals()["n"] += 1  # rmw n <- . latent


def numbered(name):
    table[name] = len(table)  # rmw table <- . quiet


def numbered_list():
    items.append(len(items))  # rmw items <- . quiet


def slices():
    items[:] = [x for x in items if x]  # rmw items <- .


def counts_out_whatever_it_was(gate):
    gate.counting.acquire()
    gate.n = gate.n + 1  # rmw gate.n <- . latent
    if gate.n == 1:
        if not gate.resource.acquire():
            return
    gate.counting.release()
    gate.entry.acquire()
    gate.n -= 1  # rmw gate.n <- . latent


def counts_out_if_it_was_enough(gate):
    gate.n = gate.n + 1  # rmw gate.n <- . latent
    if gate.n > 9:  # @a
        work()
        gate.n -= 9  # rmw gate.n <- . latent; cta gate.n <- a breaks


def counts_down(gate):
    while gate.n > 0:  # @a
        gate.n -= 1  # rmw gate.n <- . latent; cta gate.n <- a
