# The flag is waited for and raised under a condition's lock.
import os
import sys
import threading
import time

WHAT = "boats in the lock at once"


class Canal:
    def __init__(self):
        self.busy = False
        self.free = threading.Condition()
        self.inside = []
        self.most = 0

    def close_gates(self):
        time.sleep(0.001)

    def pass_through(self, boat):
        with self.free:
            while self.busy:
                self.free.wait()
            self.busy = True
        self.close_gates()
        self.lift(boat)
        with self.free:
            self.busy = False
            self.free.notify()

    def lift(self, boat):
        self.inside.append(boat)
        self.most = max(self.most, len(list(self.inside)))
        time.sleep(0.002)
        self.inside.remove(boat)


def one_round():
    canal = Canal()
    boats = [threading.Thread(target=canal.pass_through, args=(name,)) for name in ("Anna", "Berta", "Clara")]
    for b in boats:
        b.start()
    for b in boats:
        b.join()
    return 1, canal.most


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
