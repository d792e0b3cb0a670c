# A coroutine keeps a threading.Lock while it awaits, a thread fights for it, and the whole loop stalls.
import asyncio
import os
import sys
import threading
import time

WHAT = "heartbeats more than 100 ms late"
feed_lock = threading.Lock()


def importer(stop):
    while not stop.is_set():
        with feed_lock:
            time.sleep(0.15)
        time.sleep(0.005)


async def refresher():
    for _ in range(5):
        with feed_lock:  # race-read: thread-lock-across-await feed_lock
            await asyncio.sleep(0.01)  # race: thread-lock-across-await feed_lock
        await asyncio.sleep(0.01)


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
        # a round that got lucky is tried again, twice at most
        if time.monotonic() >= stop_at and (want != got or rounds >= 3):
            break
    verdict = "consistent in this run" if want == got else "INCONSISTENT"
    print("%s: expected %d, actual %d over %d round(s) -> %s" % (WHAT, want, got, rounds, verdict))


if __name__ == "__main__":
    main()
