# Guests wait for a key, and take it, under a condition.
import os
import sys
import threading
import time

WHAT = "guests without a key"


class Desk:
    def __init__(self):
        self.keys = []
        self.changed = threading.Condition()

    def hand_out(self):
        with self.changed:
            while not self.keys:
                self.changed.wait()
            self.weigh()
            return self.keys.pop()

    def weigh(self):
        time.sleep(0.001)


def arrive(desk, disappointed):
    try:
        desk.hand_out()
    except IndexError:
        disappointed.append(1)


def one_round():
    desk, disappointed = Desk(), []
    guests = [threading.Thread(target=arrive, args=(desk, disappointed)) for _ in range(4)]
    for g in guests:
        g.start()
    for key in range(4):
        time.sleep(0.003)
        with desk.changed:
            desk.keys.append(key)
            desk.changed.notify_all()
    for g in guests:
        while g.is_alive():
            g.join(0.01)
            with desk.changed:
                desk.keys.append("spare")
                desk.changed.notify_all()
    return 0, len(disappointed)


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
