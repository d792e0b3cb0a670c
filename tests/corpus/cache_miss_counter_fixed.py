# A thumbnail cache keeps its hit and miss statistics under the same lock as its data.
import os
import sys
import threading
import time

WHAT = "look-ups in the statistics"
BROWSERS, ROUNDS = 5, 300


class ThumbCache:
    def __init__(self):
        self._thumbs = {}
        self._lock = threading.Lock()
        self.hits = 0
        self.misses = 0

    def get(self, name):
        with self._lock:
            if name in self._thumbs:
                self.hits += 1
            else:
                self.misses += 1
                self._thumbs[name] = name.upper()
            return self._thumbs[name]


def browse(cache, who):
    for n in range(ROUNDS):
        cache.get("pic%d-%d" % (n % 40, who % 2 if n % 3 else who))


def one_round():
    cache = ThumbCache()
    browsers = [threading.Thread(target=browse, args=(cache, w)) for w in range(BROWSERS)]
    for b in browsers:
        b.start()
    for b in browsers:
        b.join()
    return BROWSERS * ROUNDS, cache.hits + cache.misses


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
