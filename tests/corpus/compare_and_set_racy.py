# Comparing before storing narrows the gap and does not close it.
import os
import sys
import threading
import time

WHAT = "votes counted"
VOTERS, VOTES = 4, 10


class Tally:
    def __init__(self):
        self.votes = ()

    def count(self, votes, name):
        time.sleep(0.0002)
        return votes + (name,)

    def add(self, name):
        while True:
            votes = self.votes
            more = self.count(votes, name)
            if self.votes is votes:  # race-read: read-modify-write Tally.votes
                self.audit()
                self.votes = more  # race: read-modify-write Tally.votes
                return

    def audit(self):
        time.sleep(0.0002)


def one_round():
    tally = Tally()
    voters = [threading.Thread(target=lambda name=name: [tally.add(name) for _ in range(VOTES)]) for name in range(VOTERS)]
    for v in voters:
        v.start()
    for v in voters:
        v.join()
    return VOTERS * VOTES, len(tally.votes)


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
