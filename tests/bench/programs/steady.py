"""Runs for so many seconds, threads and objects coming and going: its memory must stay flat."""
import sys
import threading
import time

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
lock = threading.Lock()
total = 0


class Order:
    def __init__(self, number):
        self.number = number
        self.state = "new"
        self.lines = []
        self.lock = threading.Lock()

    def add(self, line):
        with self.lock:
            if line not in self.lines:
                self.lines.append(line)


def work(number):
    global total
    orders = [Order(number + at) for at in range(50)]
    for order in orders:
        for line in range(5):
            order.add(line)
        order.state = "done"
    with lock:
        total += len(orders)


end = time.monotonic() + SECONDS
number = 0
while time.monotonic() < end:
    threads = [threading.Thread(target=work, args=(number + at,)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    number += 4
print(total)
