# A printer driver is created on first use with a correct double-checked lock (its unlocked first look is fine).
import os
import sys
import threading
import time

WHAT = "printer drivers created"


class Driver:
    _loaded = None
    _making = threading.Lock()

    def __init__(self):
        time.sleep(0.01)

    @classmethod
    def shared(cls):
        if cls._loaded is None:
            with cls._making:
                if cls._loaded is None:
                    cls._loaded = cls()
        return cls._loaded


def one_round():
    with Driver._making:
        Driver._loaded = None
    got = [None] * 4

    def use(slot):
        got[slot] = Driver.shared()

    users = [threading.Thread(target=use, args=(s,)) for s in range(4)]
    for u in users:
        u.start()
    for u in users:
        u.join()
    return 1, len(set(map(id, got)))


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
