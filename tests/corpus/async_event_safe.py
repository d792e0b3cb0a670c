# An asyncio.Event tells the guides that the route is final; an asyncio.Semaphore(1) guards their shared count.
import asyncio
import os
import sys
import time

WHAT = "guides who left"


async def plan(route, final):
    for stop in ("bridge", "mill", "tower"):
        await asyncio.sleep(0)
        route["stops"] = route.get("stops", ()) + (stop,)
    final.set()


async def guide(route, final, gate):
    await final.wait()
    async with gate:
        left = route.get("left", 0)
        await asyncio.sleep(0)
        route["left"] = left + 1


async def tour():
    route, final, gate = {}, asyncio.Event(), asyncio.Semaphore(1)
    await asyncio.gather(plan(route, final), *(guide(route, final, gate) for _ in range(5)))
    return route["left"]


def one_round():
    return 5, asyncio.run(tour())


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
