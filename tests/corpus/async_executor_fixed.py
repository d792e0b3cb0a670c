# Coroutines hand clips to executor threads and count the results on the loop's own thread.
import asyncio
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

WHAT = "clips converted"
converted = 0


def encode(clip):
    time.sleep(0.002)
    return 1


async def convert(loop, pool, clip):
    global converted
    done = await loop.run_in_executor(pool, encode, clip)
    converted = converted + done


async def studio():
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(4) as pool:
        await asyncio.gather(*(convert(loop, pool, clip) for clip in range(24)))


def one_round():
    global converted
    converted = 0
    asyncio.run(studio())
    return 24, converted


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
