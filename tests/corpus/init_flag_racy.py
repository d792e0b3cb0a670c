# A "set up yet?" flag is tested and raised in two steps by threads, so the set-up runs several times.
import os
import sys
import threading
import time

WHAT = "times the stage was set up"


class Stage:
    def __init__(self):
        self.ready = False
        self.props = []

    def play(self):
        if not self.ready:  # race-read: check-then-act Stage.ready
            self.props.append("curtain")
            time.sleep(0.03)
            self.ready = True  # race: check-then-act Stage.ready


def one_round():
    stage = Stage()
    actors = [threading.Thread(target=stage.play) for _ in range(3)]
    for a in actors:
        a.start()
    for a in actors:
        a.join()
    return 1, stage.props.count("curtain")


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
