# Two tasks take two locks in opposite orders; in this run one happened to be done long before the other.
import asyncio
import os
import sys
import time

WHAT = "rooms booked"


async def book(room_lock, guest_lock):
    async with room_lock:
        await asyncio.sleep(0)
        async with guest_lock:  # race: lock-order-inversion guest_lock,room_lock
            await asyncio.sleep(0)


async def cancel(room_lock, guest_lock):
    await asyncio.sleep(0.02)
    async with guest_lock:
        await asyncio.sleep(0)
        async with room_lock:  # race: lock-order-inversion guest_lock,room_lock
            await asyncio.sleep(0)


async def day():
    locks = asyncio.Lock(), asyncio.Lock()
    await asyncio.gather(book(*locks), cancel(*locks))


def one_round():
    asyncio.run(day())


def main():
    seconds = 0.0
    if "--seconds" in sys.argv:
        seconds = float(sys.argv[sys.argv.index("--seconds") + 1])
        print("ready", os.getpid(), flush=True)
    stop_at = time.monotonic() + seconds
    rounds = 0
    while True:
        one_round()
        rounds += 1
        if time.monotonic() >= stop_at:
            break
    print("%s: %d round(s)" % (WHAT, rounds))


if __name__ == "__main__":
    main()
