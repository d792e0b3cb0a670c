# A class remembers a Future per key being fetched; latecomers await it, errors reach everybody, nothing is locked.
import asyncio
import os
import sys
import time

WHAT = "trips to the archive"


class ArchiveDesk:
    def __init__(self, fetch):
        self._fetch = fetch
        self._copies = {}
        self._underway = {}

    async def get(self, shelfmark):
        if shelfmark in self._copies:
            return self._copies[shelfmark]
        if shelfmark in self._underway:
            return await self._underway[shelfmark]
        promise = asyncio.get_running_loop().create_future()
        self._underway[shelfmark] = promise
        try:
            copy = await self._fetch(shelfmark)
        except OSError as lost:
            promise.set_exception(lost)
            promise.exception()
            raise
        else:
            self._copies[shelfmark] = copy
            promise.set_result(copy)
            return copy
        finally:
            self._underway.pop(shelfmark, None)


async def reading_room():
    trips = []

    async def fetch(shelfmark):
        trips.append(shelfmark)
        await asyncio.sleep(0.01)
        if shelfmark == "lost":
            raise OSError(shelfmark)
        return "copy of " + shelfmark

    desk = ArchiveDesk(fetch)
    marks = ["A1", "lost", "B2"] * 4
    copies = await asyncio.gather(*(desk.get(mark) for mark in marks), return_exceptions=True)
    assert sum(isinstance(copy, OSError) for copy in copies) == 4
    return len(trips)


def one_round():
    return 3, asyncio.run(reading_room())


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
