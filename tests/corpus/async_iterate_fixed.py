# A chat sends to a copy of the room list, so a room may close during the loop.
import asyncio
import os
import sys
import time

WHAT = "broadcasts that broke off"


class Chat:
    def __init__(self):
        self.rooms = {"red": [], "green": [], "blue": []}
        self.broken = 0

    async def broadcast(self, text):
        try:
            for room in list(self.rooms):
                await asyncio.sleep(0)
                self.rooms.get(room, []).append(text)
        except RuntimeError:
            self.broken += 1

    async def close(self, room):
        await asyncio.sleep(0)
        del self.rooms[room]


async def evening():
    chat = Chat()
    await asyncio.gather(chat.broadcast("hello"), chat.close("blue"))
    return chat.broken


def one_round():
    return 0, asyncio.run(evening())


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
