# "self.total += await price()" reads the total before the await and writes it after.
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
        self.total += await self.price(article)  # race: read-modify-write Basket.total


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
        # a round that got lucky is tried again, twice at most
        if time.monotonic() >= stop_at and (want != got or rounds >= 3):
            break
    verdict = "consistent in this run" if want == got else "INCONSISTENT"
    print("%s: expected %d, actual %d over %d round(s) -> %s" % (WHAT, want, got, rounds, verdict))


if __name__ == "__main__":
    main()
