# Runners wait for one start flag, which orders nothing between them; main waits for the first to be off, and adds beside it.
import os
import sys
import threading
import time

WHAT = "laps counted"


class Race:
    def __init__(self):
        self.started, self.off, self.laps, self.beside = False, False, 0, 0

    def run(self):
        while not self.started:
            time.sleep(0.0005)
        for _ in range(3):
            laps = self.laps  # race-read: read-modify-write laps
            time.sleep(0.001)
            self.laps = laps + 1  # race: read-modify-write laps

    def first(self):
        self.off = True
        while not self.started:
            time.sleep(0.0005)
        seen = self.beside  # race-read: read-modify-write beside
        time.sleep(0.002)
        self.beside = seen + 1  # race: read-modify-write beside


def one_round():
    race = Race()
    runners = [threading.Thread(target=race.run), threading.Thread(target=race.run), threading.Thread(target=race.first)]
    for runner in runners:
        runner.start()
    while not race.off:
        time.sleep(0.0005)
    race.started = True
    seen = race.beside  # race-read: read-modify-write beside
    time.sleep(0.002)
    race.beside = seen + 1  # race: read-modify-write beside
    for runner in runners:
        runner.join()
    return 8, race.laps + race.beside


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
