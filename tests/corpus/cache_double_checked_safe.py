# A recipe cache looks without the lock first and again with it; the unlocked fast path must not be reported.
import os
import sys
import threading
import time

WHAT = "recipes cooked"
COOKS, DISHES = 12, ("soup", "stew", "pie")


class RecipeCache:
    def __init__(self):
        self._dishes = {}
        self._stove = threading.Lock()
        self._cooked = 0

    def get_or_cook(self, dish, cook):
        if dish in self._dishes:
            return self._dishes[dish]
        with self._stove:
            if dish not in self._dishes:
                plate = cook(dish)
                self._cooked += 1
                self._dishes[dish] = plate
            return self._dishes[dish]

    @property
    def cooked(self):
        return self._cooked


def one_round():
    cache = RecipeCache()
    start_line = threading.Barrier(COOKS)

    def cook(dish):
        time.sleep(0.003)
        return "hot " + dish

    def order():
        start_line.wait()
        for _ in range(3):
            for dish in DISHES:
                assert cache.get_or_cook(dish, cook) == "hot " + dish

    guests = [threading.Thread(target=order) for _ in range(COOKS)]
    for g in guests:
        g.start()
    for g in guests:
        g.join()
    return len(DISHES), cache.cooked


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
