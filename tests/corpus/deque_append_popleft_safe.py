# One thread appends to a deque, others popleft from it, no lock needed.
import os
import sys
import threading
import time
from collections import deque

WHAT = "stones carried"
STONES = 500


def quarry(belt):
    for n in range(STONES):
        belt.append(n)
    belt.append(None)


def mason(belt, pile):
    while True:
        try:
            stone = belt.popleft()
        except IndexError:
            time.sleep(0.0005)
            continue
        if stone is None:
            belt.append(None)
            return
        pile.append(stone)


def one_round():
    belt = deque()
    piles = [[], []]
    crew = [threading.Thread(target=mason, args=(belt, pile)) for pile in piles]
    crew.append(threading.Thread(target=quarry, args=(belt,)))
    for c in crew:
        c.start()
    for c in crew:
        c.join()
    return STONES, len(set(piles[0]) | set(piles[1]))


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
