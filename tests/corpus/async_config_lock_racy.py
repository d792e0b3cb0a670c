# Twenty coroutines want one configuration value that is fetched on first use by a method, with an await in between.
import asyncio
import os
import sys
import time

WHAT = "fetches of the value"


class Config:
    def __init__(self):
        self.value = None
        self.fetches = 0

    async def fetch(self):
        self.fetches += 1
        await asyncio.sleep(0.01)
        return "eu-north"

    async def region(self):
        if self.value is None:  # race-read: check-then-act Config.value
            self.value = await self.fetch()  # race: check-then-act Config.value
        return self.value


async def services():
    config = Config()
    await asyncio.gather(*(config.region() for _ in range(20)))
    return config.fetches


def one_round():
    return 1, asyncio.run(services())


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
