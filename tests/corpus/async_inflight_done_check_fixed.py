# Who registers the future (decided under the lock, without any await inside) is the one who reads the row.
import asyncio
import os
import sys
import time

WHAT = "rows read"


class Settings:
    def __init__(self):
        self.rows = {}
        self.pending = {}
        self.lock = asyncio.Lock()
        self.reads = []

    async def read_row(self, name):
        self.reads.append(name)
        await asyncio.sleep(0.01)
        return name.upper()

    async def get(self, name):
        async with self.lock:
            if name in self.rows:
                return self.rows[name]
            promise = self.pending.get(name)
            mine = promise is None
            if mine:
                promise = asyncio.get_running_loop().create_future()
                self.pending[name] = promise
        if mine:
            value = await self.read_row(name)
            async with self.lock:
                self.rows[name] = value
                del self.pending[name]
            promise.set_result(value)
        return await promise


async def ask_often():
    settings = Settings()
    values = await asyncio.gather(*(settings.get("colour") for _ in range(8)))
    assert set(values) == {"COLOUR"}
    return len(settings.reads)


def one_round():
    return 1, asyncio.run(ask_often())


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
