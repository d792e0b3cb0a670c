# A hand-made blocking queue: one mutex, two Conditions on it, check and change always under the mutex.
import os
import sys
import threading
import time

WHAT = "pallets moved"


class Ramp:
    def __init__(self, room):
        self._room = room
        self._pallets = []
        self._mutex = threading.Lock()
        self._filled = threading.Condition(self._mutex)
        self._emptied = threading.Condition(self._mutex)
        self.moved = 0

    def load(self, pallet):
        with self._emptied:
            while len(self._pallets) == self._room:
                self._emptied.wait()
            self._pallets.append(pallet)
            self._filled.notify()

    def unload(self):
        with self._filled:
            while not self._pallets:
                self._filled.wait()
            pallet = self._pallets.pop(0)
            self.moved += 1
            self._emptied.notify()
            return pallet


def one_round():
    ramp = Ramp(2)
    loaders = [threading.Thread(target=lambda: [ramp.load(n) for n in range(20)]) for _ in range(2)]
    unloaders = [threading.Thread(target=lambda: [ramp.unload() for _ in range(20)]) for _ in range(2)]
    for t in loaders + unloaders:
        t.start()
    for t in loaders + unloaders:
        t.join()
    return 40, ramp.moved


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
