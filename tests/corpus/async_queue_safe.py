# Coroutines pass dictionaries through an asyncio.Queue, each side changing them in turn.
import asyncio
import os
import sys
import time

WHAT = "films developed"


async def photographer(films):
    for n in range(10):
        film = {"number": n, "steps": 0}
        await asyncio.sleep(0)
        film["steps"] += 1
        await films.put(film)


async def developer(films, prints):
    while True:
        film = await films.get()
        steps = film["steps"]
        await asyncio.sleep(0)
        film["steps"] = steps + 1
        prints.append(film)
        films.task_done()


async def lab():
    films, prints = asyncio.Queue(maxsize=3), []
    darkroom = [asyncio.ensure_future(developer(films, prints)) for _ in range(3)]
    await asyncio.gather(photographer(films), photographer(films))
    await films.join()
    for d in darkroom:
        d.cancel()
    await asyncio.gather(*darkroom, return_exceptions=True)
    return sum(film["steps"] == 2 for film in prints)


def one_round():
    return 20, asyncio.run(lab())


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
