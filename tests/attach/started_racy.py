import threading
import time

laps = 0
NAMES = ["ann", "bob"]
posts = {"ann": 0, "bob": 0}


class Meter:
    def __init__(self):
        self.pulses = 0

    def tick(self):
        self.pulses += 1


class Wire(threading.Thread):
    def __init__(self, meter):
        super().__init__()
        self.meter = meter

    def run(self):
        for _ in range(20000):
            self.meter.tick()


def run():
    global laps
    for _ in range(40000):
        laps += 1


def post():
    for _ in range(8000):
        for name in NAMES:
            posts[name] += 1


def wires():
    meter = Meter()
    return [Wire(meter) for _ in range(3)]


def all_of(make):
    threads = make()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def two_of(target):
    first = threading.Thread(target=target)
    second = threading.Thread(target=target)
    first.start()
    second.start()
    first.join()
    second.join()


print("ready", flush=True)
while True:
    all_of(wires)
    two_of(run)
    all_of(lambda: [threading.Thread(target=post) for _ in range(3)])
    time.sleep(0.0001)
