# Six coroutines queue at an asyncio.Lock because each holder awaits a slow download with the lock in hand.
import asyncio
import os
import sys
import time

WHAT = "download times the slowest reader waited"
DOWNLOAD = 0.15


class Album:
    def __init__(self):
        self.lock = asyncio.Lock()
        self.pictures = []

    async def download(self, number):
        await asyncio.sleep(DOWNLOAD)
        return "picture %d" % number

    async def add(self, number):
        async with self.lock:  # race-read: lock-held-across-await Album.lock
            picture = await self.download(number)  # race: lock-held-across-await Album.lock
            self.pictures.append(picture)


async def fill():
    album = Album()
    await asyncio.gather(*(album.add(n) for n in range(6)))


def one_round():
    began = time.monotonic()
    asyncio.run(fill())
    return 1, int((time.monotonic() - began) / DOWNLOAD)


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
