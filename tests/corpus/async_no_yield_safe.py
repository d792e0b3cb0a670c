# Coroutines bump a counter and check-then-store in a dict with no await between the steps: nothing can come between.
import asyncio
import os
import sys
import time

WHAT = "letters counted"
letters = 0
boxes = {}


async def postman(street):
    global letters
    for house in range(10):
        letters += 1
        if house not in boxes:
            boxes[house] = []
        boxes[house].append(street)
        await asyncio.sleep(0)


async def morning():
    await asyncio.gather(*(postman(s) for s in range(5)))


def one_round():
    global letters
    letters = 0
    boxes.clear()
    asyncio.run(morning())
    assert all(len(box) == 5 for box in boxes.values())
    return 50, letters


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
