# A small least-recently-used cache whose every method holds one RLock, eviction and delete included.
import os
import sys
import threading
import time

WHAT = "cache operations that went wrong"


class Pantry:
    def __init__(self, room):
        self._jars = {}
        self._used = {}
        self._clock = 0
        self._room = room
        self._door = threading.RLock()

    def get(self, name):
        with self._door:
            if name in self._jars:
                self._touch(name)
                return self._jars[name]
            return None

    def put(self, name, jam):
        with self._door:
            if name not in self._jars and len(self._jars) >= self._room:
                self._throw_oldest()
            self._jars[name] = jam
            self._touch(name)

    def get_or_cook(self, name):
        with self._door:
            jam = self.get(name)
            if jam is None:
                jam = name + " jam"
                self.put(name, jam)
            return jam

    def drop(self, name):
        with self._door:
            if name in self._jars:
                del self._jars[name]
                del self._used[name]
                return True
            return False

    def size(self):
        with self._door:
            return len(self._jars)

    def _touch(self, name):
        with self._door:
            self._clock += 1
            self._used[name] = self._clock

    def _throw_oldest(self):
        oldest = min(self._used, key=self._used.get)
        del self._jars[oldest]
        del self._used[oldest]


def eat(pantry, offset, trouble):
    fruits = ("fig", "plum", "pear", "lime", "kiwi", "date")
    try:
        for n in range(120):
            name = fruits[(n * 5 + offset) % len(fruits)]
            if pantry.get_or_cook(name) != name + " jam" or pantry.size() > 4:
                trouble.append(name)
            if n % 7 == 0:
                pantry.drop(name)
    except KeyError as missing:
        trouble.append(missing)


def one_round():
    pantry = Pantry(4)
    trouble = []
    eaters = [threading.Thread(target=eat, args=(pantry, o, trouble)) for o in range(4)]
    for e in eaters:
        e.start()
    for e in eaters:
        e.join()
    return 0, len(trouble)


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
