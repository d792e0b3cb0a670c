# All who miss a number wait for the one task that works it out, shielded, and each stores what it gave.
import asyncio
import os
import sys
import time

WHAT = "squares worked out"


class Squares:
    def __init__(self):
        self.known = {}
        self.under_way = {}
        self.worked = 0

    async def work_out(self, number):
        self.worked += 1
        await asyncio.sleep(0.001)
        return number * number

    async def of(self, number):
        if number in self.known:
            return self.known[number]
        task = self.under_way.get(number)
        if task is None:
            task = self.under_way[number] = asyncio.ensure_future(self.work_out(number))
            task.add_done_callback(lambda _: self.under_way.pop(number, None))
        square = await asyncio.shield(task)
        self.known[number] = square
        return square


async def ask():
    squares = Squares()
    await asyncio.gather(*(squares.of(n % 3) for n in range(12)))
    return squares.worked


def one_round():
    return 3, asyncio.run(ask())


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
