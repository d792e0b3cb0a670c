# Dance couples read and write the floor count inside an asyncio.Lock, a short await included.
import asyncio
import os
import sys
import time

WHAT = "couples counted"
couples = 0


async def enter_floor(rope):
    global couples
    async with rope:
        before = couples
        await asyncio.sleep(0)
        couples = before + 1


async def ball():
    rope = asyncio.Lock()
    await asyncio.gather(*(enter_floor(rope) for _ in range(12)))


def one_round():
    global couples
    couples = 0
    asyncio.run(ball())
    return 12, couples


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
