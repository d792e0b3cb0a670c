"""asyncio: many tasks that share a cache, a lock and a queue."""
import asyncio
import sys

TASKS = int(sys.argv[1]) if len(sys.argv) > 1 else 12_000


class Cache:
    def __init__(self):
        self.items = {}
        self.lock = asyncio.Lock()
        self.hits = 0

    async def get(self, key):
        async with self.lock:
            if key not in self.items:
                await asyncio.sleep(0)
                self.items[key] = key * 2
            self.hits += 1
            return self.items[key]


async def client(cache, queue, number):
    total = 0
    for key in range(8):
        total += await cache.get((number + key) % 100)
    await queue.put(total)


async def main():
    cache, queue = Cache(), asyncio.Queue()
    for start in range(0, TASKS, 500):
        await asyncio.gather(*(client(cache, queue, number) for number in range(start, start + 500)))
    print(cache.hits, queue.qsize())


asyncio.run(main())
