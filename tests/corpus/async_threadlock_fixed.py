# Coroutine and thread share a threading.Lock for memory operations only; awaits and slow work happen outside.
import asyncio
import os
import sys
import threading
import time

WHAT = "heartbeats more than 100 ms late"
feed_lock = threading.Lock()
feed = {"thread": 0, "loop": 0}


def importer(stop):
    while not stop.is_set():
        time.sleep(0.02)
        with feed_lock:
            feed["thread"] += 1


async def refresher():
    for _ in range(8):
        await asyncio.sleep(0.01)
        with feed_lock:
            feed["loop"] += 1


async def heartbeat(beats):
    while True:
        began = time.monotonic()
        await asyncio.sleep(0.01)
        beats.append(time.monotonic() - began)


async def station(beats):
    pulse = asyncio.ensure_future(heartbeat(beats))
    await refresher()
    pulse.cancel()


def one_round():
    beats, stop = [], threading.Event()
    thread = threading.Thread(target=importer, args=(stop,))
    thread.start()
    asyncio.run(station(beats))
    stop.set()
    thread.join()
    return 0, sum(gap > 0.11 for gap in beats)


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
