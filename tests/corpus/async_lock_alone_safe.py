# One single coroutine holds an asyncio.Lock over a long await; nobody else wants the lock meanwhile.
import asyncio
import os
import sys
import time

WHAT = "backups written"


async def backup(lock, done):
    async with lock:
        await asyncio.sleep(0.12)
        done.append("backup")


async def stroll():
    for _ in range(10):
        await asyncio.sleep(0.005)


async def night():
    lock, done = asyncio.Lock(), []
    await asyncio.gather(backup(lock, done), stroll())
    async with lock:
        return len(done)


def one_round():
    return 1, asyncio.run(night())


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
