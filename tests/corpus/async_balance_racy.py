# Riders take a bike if one is free, but the dock is asked and awaited before the number is lowered.
import asyncio
import os
import sys
import time

WHAT = "bikes left"


class Dock:
    def __init__(self, bikes):
        self.bikes = bikes

    async def unlock(self):
        await asyncio.sleep(0.002)

    async def take(self):
        if self.bikes > 0:  # race-read: check-then-act Dock.bikes
            await self.unlock()
            self.bikes -= 1  # race: check-then-act Dock.bikes


async def riders():
    dock = Dock(3)
    await asyncio.gather(*(dock.take() for _ in range(7)))
    return dock.bikes


def one_round():
    return 0, asyncio.run(riders())


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
