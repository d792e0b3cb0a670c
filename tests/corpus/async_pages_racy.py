# A loop fetches pages from where a shared cursor stands, and moves it when the page has come: others get the same page.
import asyncio
import os
import sys
import time

WHAT = "rows read"
ROWS = 12


class Cursor:
    def __init__(self):
        self.at = 0

    async def fetch(self, at):
        await asyncio.sleep(0)
        return list(range(at, min(at + 2, ROWS)))

    async def rows(self):
        while self.at < ROWS:  # race-read: check-then-act Cursor.at
            page = await self.fetch(self.at)
            self.at += len(page)  # race: check-then-act Cursor.at
            for row in page:
                yield row


async def read(cursor, rows):
    async for row in cursor.rows():
        rows.append(row)


async def read_together():
    cursor, rows = Cursor(), []
    await asyncio.gather(read(cursor, rows), read(cursor, rows))
    return rows


def one_round():
    return ROWS, len(asyncio.run(read_together()))


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
