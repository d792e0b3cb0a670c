# One event loop lives for the whole run while its tasks update a shared count without an await in between.
import asyncio
import os
import sys
import time

served = 0


async def waiter(stop_at):
    global served
    mine = 0
    while time.monotonic() < stop_at:
        await asyncio.sleep(0.002)
        before = served
        served = before + 1
        mine += 1
    return mine


async def restaurant(stop_at):
    return sum(await asyncio.gather(*(waiter(stop_at) for _ in range(4))))


def main():
    seconds = 0.2
    if "--seconds" in sys.argv:
        seconds = float(sys.argv[sys.argv.index("--seconds") + 1])
        print("ready", os.getpid(), flush=True)
    expected = asyncio.run(restaurant(time.monotonic() + seconds))
    print("guests served: expected %d, actual %d" % (expected, served))


if __name__ == "__main__":
    main()
