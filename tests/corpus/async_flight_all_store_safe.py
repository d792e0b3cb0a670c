# Latecomers await the one task that fetches the plan, and everybody who waited files the same object: made once, stored often.
import asyncio
import os
import sys
import time

WHAT = "plans that were drawn"


class PlanRoom:
    def __init__(self):
        self.plans = {}
        self.drawing = {}
        self.drawn = 0

    async def draw(self, house):
        self.drawn += 1
        await asyncio.sleep(0.01)
        return {"house": house, "floors": 3}

    async def plan(self, house):
        if house in self.plans:
            return self.plans[house]
        task = self.drawing.get(house)
        if task is None:
            task = asyncio.ensure_future(self.draw(house))
            self.drawing[house] = task
        plan = await task
        self.plans[house] = plan
        return plan


async def morning():
    room = PlanRoom()
    plans = await asyncio.gather(*(room.plan(house) for house in ["north", "south"] * 4))
    assert len({id(plan) for plan in plans}) == 2
    return room.drawn


def one_round():
    return 2, asyncio.run(morning())


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
