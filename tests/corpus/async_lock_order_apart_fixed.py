# Opposite orders, but each task is started only when the one before is over, by whatever means: they never meet.
import asyncio
import os
import sys
import time

WHAT = "rooms booked"


async def book(room_lock, guest_lock):
    async with room_lock:
        await asyncio.sleep(0)
        async with guest_lock:
            await asyncio.sleep(0)


async def cancel(room_lock, guest_lock):
    async with guest_lock:
        await asyncio.sleep(0)
        async with room_lock:
            await asyncio.sleep(0)


async def day():
    locks = asyncio.Lock(), asyncio.Lock()
    await asyncio.create_task(book(*locks))
    await asyncio.create_task(cancel(*locks))
    over = asyncio.Event()
    later = []

    def go_on(task):
        later.append(asyncio.get_running_loop().create_task(cancel(*locks)))
        over.set()

    asyncio.get_running_loop().create_task(book(*locks)).add_done_callback(go_on)
    await over.wait()
    await later[0]
    ready = asyncio.get_running_loop().create_future()

    async def first():
        await book(*locks)
        ready.set_result(True)

    async def second():
        await ready
        await cancel(*locks)

    await asyncio.gather(second(), first())


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
