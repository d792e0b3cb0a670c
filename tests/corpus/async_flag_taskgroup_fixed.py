# Night watchmen in a TaskGroup light the same beacon under an asyncio.Lock.
# requires: 3.11
import asyncio
import os
import sys
import time

WHAT = "times the beacon was lit"


async def night():
    lit = False
    matches = 10
    tinder = asyncio.Lock()

    async def climb():
        await asyncio.sleep(0)

    async def watchman():
        nonlocal lit, matches
        async with tinder:
            if lit:
                return
            await climb()
            lit = True
            matches -= 1

    async with asyncio.TaskGroup() as watch:
        for _ in range(3):
            watch.create_task(watchman())
    return 10 - matches


def one_round():
    return 1, asyncio.run(night())


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
