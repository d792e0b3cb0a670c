# A hand-made lock: wait until a flag is down, then raise it. Two that wait see it go down.
import os
import sys
import threading
import time

WHAT = "boats in the lock at once"


class Canal:
    def __init__(self):
        self.busy = False
        self.inside = []
        self.most = 0

    def close_gates(self):
        time.sleep(0.001)

    def pass_through(self, boat):
        while self.busy:  # race-read: check-then-act Canal.busy
            time.sleep(0.0005)
        self.close_gates()
        self.busy = True  # race: check-then-act Canal.busy
        self.lift(boat)
        self.busy = False

    def lift(self, boat):
        self.inside.append(boat)
        self.most = max(self.most, len(list(self.inside)))  # race-also: read-modify-write Canal.most
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
