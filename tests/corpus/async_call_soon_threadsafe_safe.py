# A thread hands readings to the loop with call_soon_threadsafe; the coroutine goes on changing what it was given.
import asyncio
import os
import sys
import threading
import time

WHAT = "readings rounded"


def sensor(loop, inbox):
    for n in range(10):
        reading = {"raw": n / 3}
        time.sleep(0.0005)
        reading["unit"] = "mm"
        loop.call_soon_threadsafe(inbox.put_nowait, reading)
    loop.call_soon_threadsafe(inbox.put_nowait, None)


async def recorder():
    inbox, rounded = asyncio.Queue(), 0
    thread = threading.Thread(target=sensor, args=(asyncio.get_running_loop(), inbox))
    thread.start()
    while True:
        reading = await inbox.get()
        if reading is None:
            break
        reading["raw"] = round(reading["raw"], 1)
        rounded += reading["unit"] == "mm"
    thread.join()
    return rounded


def one_round():
    return 10, asyncio.run(recorder())


def main():
    seconds = 0.0
    if "--seconds" in sys.argv:
        seconds = float(sys.argv[sys.argv.index("--seconds") + 1])
        print("ready", os.getpid(), flush=True)
    stop_at = time.monotonic() + seconds
    rounds = want = got = 0
    while True:
        expected, actual = one_round()
        rounds, want, got = rounds + 1, want + expected, got + actual
        if time.monotonic() >= stop_at:
            break
    verdict = "consistent in this run" if want == got else "INCONSISTENT"
    print("%s: expected %d, actual %d over %d round(s) -> %s" % (WHAT, want, got, rounds, verdict))


if __name__ == "__main__":
    main()
