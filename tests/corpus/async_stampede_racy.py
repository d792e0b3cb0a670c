# Ten coroutines ask for the same weather station; all miss the cache before the first answer is stored.
import asyncio
import os
import sys
import time

WHAT = "requests to the station"
weather = {}
requests = []


async def ask_station(station):
    requests.append(station)
    await asyncio.sleep(0.01)
    return {"station": station, "wind": 5}


async def wind(station):
    if station not in weather:  # race-read: check-then-act weather[...]
        report = await ask_station(station)
        weather[station] = report  # race: check-then-act weather[...]
    return weather[station]["wind"]


async def sailors():
    await asyncio.gather(*(wind("cape") for _ in range(10)))


def one_round():
    weather.clear()
    del requests[:]
    asyncio.run(sailors())
    return 1, len(requests)


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
