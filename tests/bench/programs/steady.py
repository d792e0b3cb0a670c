"""Runs for so many seconds, threads, tasks, objects and locks coming and going: its memory must stay flat."""
import asyncio
import queue
import sys
import threading
import time

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
lock = threading.Lock()
bills = queue.Queue(20)
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
        bills.put({"number": order.number, "lines": len(order.lines)})
    with lock:
        total += len(orders)


async def deliver(order, van):
    async with van:
        await asyncio.sleep(0)
        order["delivered"] = True


async def deliver_all(orders):
    van = asyncio.Lock()
    await asyncio.gather(*(deliver(order, van) for order in orders))


end = time.monotonic() + SECONDS
number = 0
while time.monotonic() < end:
    threads = [threading.Thread(target=work, args=(number + at,)) for at in range(4)]
    for thread in threads:
        thread.start()
    orders = [bills.get() for _ in range(200)]
    for thread in threads:
        thread.join()
    asyncio.run(deliver_all(orders))
    number += 4
print(total)
