import time


def flag(self):
    while not self.ready:  # polled
        time.sleep(0.1)
    self.total += 1


def through_a_method(self):
    while not self.is_ready():  # polled
        time.sleep(0.1)


def one_after_the_other(self):
    while not (  # perhaps
        self.begun  # polled
        and self.ended  # polled
    ):
        time.sleep(0.1)


def with_a_break(self):
    while True:
        if self.done:  # polled
            break
        time.sleep(0.1)


def some_times(self):
    for _ in range(100):
        if self.done:  # polled
            return True
        time.sleep(0.1)
    return False


def enough(results, number):
    while len(results) < number:  # polled
        time.sleep(0.1)


def all_of_them(workers):
    while not all(worker.done for worker in workers):  # polled
        time.sleep(0.1)


async def item(state, sleep):
    while not state["ready"]:  # polled
        await sleep(0)


def my_turn(self, me):
    for _ in range(5):
        while self.turn != me:  # polled
            pass
        self.total = self.total + 1
        self.turn = 1 - me


def until_then(self):
    until = time.monotonic() + 5  # perhaps
    while not self.ready and time.monotonic() < until:  # polled
        time.sleep(0.1)
    if not self.ready:
        raise TimeoutError


def takes_all(items):
    while items:
        items.pop()


def looks_for_one(items):
    for item in items:
        if item.free:
            return item
    return None


def looks_once(self):
    if not self.ready:
        self.ready = True


def tries_again(found, self):
    while True:
        try:
            answer = found["answer"]  # polled
            break
        except KeyError:
            time.sleep(0.1)
    self.total = self.total + answer


def tries_once(found):
    try:
        return found["answer"]
    except KeyError:
        return None


def tries_each(found, keys):
    for key in keys:
        try:
            print(found[key])
        except KeyError:
            continue


def takes_again(inbox, self):
    while True:
        try:
            item = inbox.popleft()  # polled
            break
        except IndexError:
            time.sleep(0.1)
    self.total = self.total + item
