# A receipt coroutine is called like a function: the object is dropped and the receipt never sent.
import asyncio
import os
import sys
import time

WHAT = "receipts sent"
receipts = []


async def send_receipt(number):
    await asyncio.sleep(0)
    receipts.append(number)


async def checkout(number):
    send_receipt(number)  # race: unawaited-coroutine send_receipt
    await asyncio.sleep(0.001)


async def shop():
    await asyncio.gather(checkout(1), checkout(2))


def one_round():
    del receipts[:]
    asyncio.run(shop())
    return 2, len(receipts)


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
