# Three hosts open the same evening, test and set of the flag inside one asyncio.Lock.
import asyncio
import os
import sys
import time

WHAT = "opening speeches"


async def evening():
    opened = False
    speeches = []
    microphone = asyncio.Lock()

    async def host(name):
        nonlocal opened
        async with microphone:
            if not opened:
                await asyncio.sleep(0)
                opened = True
                speeches.append(name)

    await asyncio.gather(*(host(name) for name in ("ida", "jon", "kim")))
    return speeches


def one_round():
    return 1, len(asyncio.run(evening()))


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
