# A de-duplicating helper is handed the function and makes the one coroutine it needs itself.
import asyncio
import os
import sys
import time

WHAT = "coroutines that were made but never ran"


class Once:
    def __init__(self):
        self._futures = {}

    async def run(self, key, make):
        if key in self._futures:
            return await self._futures[key]
        future = asyncio.get_running_loop().create_future()
        self._futures[key] = future
        future.set_result(await make(key))
        return await future


async def visitors():
    ran = []

    async def draw_map(tile):
        ran.append(tile)
        await asyncio.sleep(0.005)
        return tile * 2

    once = Once()
    await asyncio.gather(*(once.run(21, draw_map) for _ in range(4)))
    return 1 - len(ran)


def one_round():
    return 0, asyncio.run(visitors())


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
