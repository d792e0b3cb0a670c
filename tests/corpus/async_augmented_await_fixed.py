# The price is awaited first; the += afterwards has no await in it and needs no lock.
import asyncio
import os
import sys
import time

WHAT = "total of the basket"


class Basket:
    def __init__(self):
        self.total = 0

    async def price(self, article):
        await asyncio.sleep(0.001)
        return len(article)

    async def add(self, article):
        cost = await self.price(article)
        self.total += cost


async def shop():
    basket = Basket()
    await asyncio.gather(*(basket.add(article) for article in ("tea", "milk", "bread", "butter")))
    return basket.total


def one_round():
    return 18, asyncio.run(shop())


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
