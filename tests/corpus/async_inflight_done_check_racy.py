# A wrong repair of the stampede: the future is registered under a lock, but all who find it "not done" fetch anyway.
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
            if name in self.rows:  # race-read: check-then-act Settings.rows[...]
                return self.rows[name]
            promise = self.pending.get(name)
            if promise is None:
                promise = asyncio.get_running_loop().create_future()
                self.pending[name] = promise
        if not promise.done():  # race-also: check-then-act promise
            value = await self.read_row(name)
            self.rows[name] = value  # race: check-then-act Settings.rows[...]
            if not promise.done():
                promise.set_result(value)
            self.pending.pop(name, None)  # race-also: check-then-act Settings.pending[...]
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
        # a round that got lucky is tried again, twice at most
        if time.monotonic() >= stop_at and (want != got or rounds >= 3):
            break
    verdict = "consistent in this run" if want == got else "INCONSISTENT"
    print("%s: expected %d, actual %d over %d round(s) -> %s" % (WHAT, want, got, rounds, verdict))


if __name__ == "__main__":
    main()
