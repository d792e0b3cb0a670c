# Images pass from coroutines to threads of the loop's own pool and back, each side changing them in turn.
import asyncio
import os
import sys
import time

WHAT = "images scaled"


class Image:
    def __init__(self, number):
        self.number = number
        self.size = 0


def scale(image):
    time.sleep(0.002 * image.number)
    image.size += len(str(image.number))
    return image


async def handle(number):
    image = Image(number)
    image.size += len(str(number))
    loop = asyncio.get_running_loop()
    image = await loop.run_in_executor(None, scale, image)
    image.size += len(str(number))
    image = await loop.run_in_executor(None, scale, image)
    image.size += len(str(number))


async def handle_all():
    await asyncio.gather(*(handle(number) for number in range(4)))


def one_round():
    asyncio.run(handle_all())


def main():
    seconds = 0.0
    if "--seconds" in sys.argv:
        seconds = float(sys.argv[sys.argv.index("--seconds") + 1])
        print("ready", os.getpid(), flush=True)
    stop_at = time.monotonic() + seconds
    rounds = 0
    while True:
        one_round()
        rounds += 1
        if time.monotonic() >= stop_at:
            break
    print("%s: %d round(s)" % (WHAT, rounds))


if __name__ == "__main__":
    main()
