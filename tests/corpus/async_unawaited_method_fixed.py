# A method coroutine is made into a task at once and awaited before closing.
import asyncio
import os
import sys
import time

WHAT = "mails left in the outbox"


class Outbox:
    def __init__(self):
        self.mails = ["a", "b", "c"]

    async def flush(self):
        while self.mails:
            self.mails.pop()
            await asyncio.sleep(0)

    async def close(self):
        pending = asyncio.ensure_future(self.flush())
        await asyncio.sleep(0.001)
        await pending
        return len(self.mails)


def one_round():
    return 0, asyncio.run(Outbox().close())


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
