# A ferry checks its free places under the lock, lets go of it, and takes it again to sell.
import os
import sys
import threading
import time

WHAT = "free places on the ferry"


class Ferry:
    def __init__(self, free):
        self.free = free
        self._ramp = threading.Lock()

    def sell(self, places):
        with self._ramp:
            enough = self.free >= places  # race-read: check-then-act Ferry.free
        if enough:
            time.sleep(0.03)
            with self._ramp:
                self.free -= places  # race: check-then-act Ferry.free


def one_round():
    ferry = Ferry(5)
    sellers = [threading.Thread(target=ferry.sell, args=(4,)) for _ in range(3)]
    for s in sellers:
        s.start()
    for s in sellers:
        s.join()
    return 1, ferry.free


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
