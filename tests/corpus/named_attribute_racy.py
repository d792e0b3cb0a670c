# Votes are counted in attributes whose names are computed: getattr, then setattr.
import os
import sys
import threading
import time

WHAT = "votes counted"
VOTERS, VOTES = 4, 10


class Poll:
    def __init__(self):
        self.yes = self.no = 0


def count(poll, name):
    votes = getattr(poll, name)  # race-read: read-modify-write Poll.yes  # race-read: read-modify-write Poll.no
    time.sleep(0.0002)
    setattr(poll, name, votes + 1)  # race: read-modify-write Poll.yes  # race: read-modify-write Poll.no


def vote(poll):
    for number in range(VOTES):
        count(poll, "yes" if number % 2 else "no")


def one_round():
    poll = Poll()
    voters = [threading.Thread(target=vote, args=(poll,)) for _ in range(VOTERS)]
    for v in voters:
        v.start()
    for v in voters:
        v.join()
    return VOTERS * VOTES, poll.yes + poll.no


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
