# A de-duplicating helper is handed ready-made coroutine objects; all but the first are dropped without an await.
import asyncio
import os
import sys
import time

WHAT = "coroutines that were made but never ran"


class Once:
    def __init__(self):
        self._futures = {}

    async def run(self, key, coro):
        if key in self._futures:
            return await self._futures[key]
        future = asyncio.get_running_loop().create_future()
        self._futures[key] = future
        future.set_result(await coro)
        return await future


async def visitors():
    made, ran = [], []

    async def draw_map(tile):
        ran.append(tile)
        await asyncio.sleep(0.005)
        return tile * 2

    async def visitor(once, tile):
        made.append(tile)
        return await once.run(tile, draw_map(tile))  # race: unawaited-coroutine visitors.<locals>.draw_map

    once = Once()
    await asyncio.gather(*(visitor(once, 21) for _ in range(4)))
    return len(made) - len(ran)


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
        # a round that got lucky is tried again, twice at most
        if time.monotonic() >= stop_at and (want != got or rounds >= 3):
            break
    verdict = "consistent in this run" if want == got else "INCONSISTENT"
    print("%s: expected %d, actual %d over %d round(s) -> %s" % (WHAT, want, got, rounds, verdict))


if __name__ == "__main__":
    main()
