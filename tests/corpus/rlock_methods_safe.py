# A score keeper's methods call each other while holding one RLock.
import os
import sys
import threading
import time

WHAT = "goals announced"


class ScoreKeeper:
    def __init__(self):
        self._goals = 0
        self._board = threading.RLock()
        self.announced = []

    def goal(self):
        with self._board:
            goals = self._goals
            time.sleep(0.0001)
            self._goals = goals + 1
            self._announce()

    def _announce(self):
        with self._board:
            self.announced.append(self.score())

    def score(self):
        with self._board:
            return self._goals


def team(keeper):
    for _ in range(15):
        keeper.goal()


def one_round():
    keeper = ScoreKeeper()
    teams = [threading.Thread(target=team, args=(keeper,)) for _ in range(3)]
    for t in teams:
        t.start()
    for t in teams:
        t.join()
    assert keeper.announced == list(range(1, 46))
    return 45, keeper.score()


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
