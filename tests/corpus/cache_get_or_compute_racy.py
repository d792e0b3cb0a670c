# Many threads miss the same tile in a map cache together and all of them draw it.
import os
import sys
import threading
import time

WHAT = "tiles drawn"
VIEWERS, TILES = 8, ("a1", "a2", "b1")


class TileCache:
    def __init__(self):
        self._tiles = {}

    def get_or_draw(self, name, draw):
        if name not in self._tiles:  # race-read: check-then-act TileCache._tiles[...]
            picture = draw(name)
            self._tiles[name] = picture  # race: check-then-act TileCache._tiles[...]
        return self._tiles[name]


def one_round():
    cache = TileCache()
    drawn = []
    start_line = threading.Barrier(VIEWERS)

    def draw(name):
        drawn.append(name)
        time.sleep(0.003)
        return "<%s>" % name

    def view():
        start_line.wait()
        for name in TILES:
            cache.get_or_draw(name, draw)

    viewers = [threading.Thread(target=view) for _ in range(VIEWERS)]
    for v in viewers:
        v.start()
    for v in viewers:
        v.join()
    return len(TILES), len(drawn)


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
